import type { TlsOptions } from "node:tls";
import type { Plugin } from "graphql-yoga";
import type { AnyEdge } from "../../core/edge.ts";
import type { Dispatcher } from "../../core/exchange.ts";
import type { Logger } from "../../core/logger.ts";
import type { AnyOperation } from "../../core/operation.ts";
import type { Principal } from "../../core/principal.ts";
import type { Admit } from "../admit.ts";
import type { BodyBudget } from "../body-budget.ts";
import type { OnRefused } from "../on-refused.ts";
import type { GraphqlLimits } from "./limits.ts";
import type { MayRead } from "./relations.ts";

/**
 * Who may ask for the schema: everybody, whoever has a valid credential, or nobody. The contract is
 * no secret, but a gateway that is reachable from afar need not tell it to strangers.
 */
export type IntrospectionPolicy = "public" | "authenticated" | "off";

export interface GraphqlTransportOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The text of schema/schema.graphql. */
  readonly sdl: string;
  readonly operations: readonly AnyOperation[];
  /** Guarded: what a caller may not see is already taken out of what they load. */
  readonly edges: readonly AnyEdge[];
  /** Whether a caller may follow a relation. */
  readonly mayRead: MayRead;
  /** Handed to edges as it is. */
  readonly services: unknown;
  readonly dispatcher: Dispatcher;
  /** Resolves an Authorization value or throws UNAUTHENTICATED; asked when a socket opens and before introspection. */
  readonly authenticate: (authorization: string | undefined) => Promise<Principal>;
  /** Asked before a body or message of some size is taken in; without it, every one is. */
  readonly admit?: Admit | undefined;
  /** What the bodies of all transports together may take. */
  readonly bodies?: BodyBudget | undefined;
  readonly logger: Logger;
  /** For the metrics. */
  readonly onRefused?: OnRefused | undefined;
  readonly introspection: IntrospectionPolicy;
  /** Whether browsers get GraphiQL at the endpoint. */
  readonly graphiql: boolean;
  readonly limits?: Partial<GraphqlLimits> | undefined;
  /** Envelop and yoga plugins around execution. */
  readonly plugins?: readonly Plugin[] | undefined;
  /** Certificate and key, and a `ca` with `requestCert` for mTLS. Without it the server speaks plain HTTP. */
  readonly tls?: TlsOptions | undefined;
}
