import type { Config } from "./config/config.ts";
import type { Gateway } from "./gateway.ts";

/** What a person sees when the gateway is up: where everything is. */
export function welcome(gateway: Gateway, config: Config, startMs: number): string {
  const { rest, graphql, grpc } = gateway.addresses;
  const key = `${config.adminKeyFile}${gateway.madeAdminKey ? " (made just now)" : ""}`;
  return `
TARL Gateway is ready after ${(startMs / 1000).toFixed(2)} s.

  REST       ${rest}
  Docs       ${rest}/docs
  GraphQL    ${graphql}
  gRPC       ${grpc}
  Admin key  ${key}

`;
}
