import type { Call } from "../../core/call.ts";
import type { AppError } from "../../core/errors.ts";
import type { Dispatcher } from "../../core/exchange.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Admit } from "../admit.ts";
import type { ReadBytesOptions } from "../http/read-bytes.ts";
import type { OnRefused } from "../on-refused.ts";
import type { CorsPolicy } from "./cors.ts";
import type { RestLimits } from "./limits.ts";

/** What this transport writes to the log: its own faults. Requests are logged by the interceptors. */
export interface RestLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A stream under way, as the stopping server sees it. */
export interface LiveStream {
  /** Ends it with a terminal record that says why and where to resume. */
  end(reason: AppError): void;
}

/** What every request of one server shares. */
export interface RestContext {
  readonly dispatcher: Dispatcher;
  readonly ids: IdGenerator;
  readonly logger: RestLogger;
  readonly onRefused: OnRefused;
  readonly limits: RestLimits;
  readonly admit: Admit;
  readonly bodyOptions: ReadBytesOptions;
  readonly cors: CorsPolicy | undefined;
  readonly streams: Set<LiveStream>;
  /** Calls with one answer that are under way. */
  readonly calls: Set<Call>;
  /** True once the server stops: answers then close their connections. */
  draining: boolean;
}
