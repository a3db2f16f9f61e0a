import { expect } from "vitest";
import { PROTOCOLS, type ProtocolName } from "../support/clients-model.ts";
import { createNormaliser } from "./normalise.ts";
import type { Actor, ParityGateway } from "./parity-gateway.ts";

export type Seen = Record<ProtocolName, unknown>;

/** The same steps once over each protocol, each in its own namespace; answers what was seen with ids and times taken out. */
export async function onEach(
  gateway: ParityGateway,
  scenario: string,
  run: (actor: Actor) => Promise<unknown>,
  settings: Record<string, unknown> = {},
): Promise<Seen> {
  const seen = {} as Seen;
  for (const protocol of PROTOCOLS) {
    const actor = await gateway.actor(protocol, `${scenario.toLowerCase()}-${protocol}`, settings);
    seen[protocol] = createNormaliser(actor.namespace)(await run(actor));
  }
  return seen;
}

export function expectAlike(seen: Seen): void {
  expect(seen.grpc, "gRPC beside REST").toEqual(seen.rest);
  expect(seen.graphql, "GraphQL beside REST").toEqual(seen.rest);
}
