import { z } from "zod";
import { enumeration, instant, message } from "../../core/schema.ts";

export const PrincipalKind = enumeration("PrincipalKind", "How the caller shows who it is.", {
  API_KEY: "A key that this gateway made.",
  JWT: "A token of an identity provider that this gateway trusts.",
});

export const Grant = message("Grant", "What a caller may do in one place.", {
  scope: z.string().describe("A namespace, or `*` for the whole gateway and every namespace in it."),
  permissions: z.array(z.string()).describe("What it may do there; `*` stands for everything."),
});

export const WhoAmIRequest = message("WhoAmIRequest", "Asks for nothing.", {});

export const WhoAmIResponse = message("WhoAmIResponse", "Who the caller is to the gateway.", {
  principalId: z.string().describe("`key:<key id>` or `jwt:<issuer>#<subject>`."),
  displayName: z.string().describe("What people call it."),
  kind: PrincipalKind,
  home: z.string().describe("The namespace the credential belongs to, or `*`."),
  expiresAt: instant("When the credential ends; absent where it does not.").optional(),
  grants: z.array(Grant).describe("What it may do, and where."),
  groups: z
    .array(z.string())
    .describe("The groups that its token names, as the principals `jwt-group:<issuer>#<group>`; none for keys."),
});

export const GetInfoRequest = message("GetInfoRequest", "Asks for nothing.", {});

export const StoreInfo = message("StoreInfo", "A store that the gateway uses.", {
  name: z.string().describe("What it keeps, e.g. `database` or `leases`."),
  engine: z.string().describe("What it is, e.g. `postgres`, `pglite` or `redis`."),
});

export const GetInfoResponse = message("GetInfoResponse", "What this gateway is.", {
  version: z.string().describe("Its version."),
  protocols: z.array(z.string()).describe("The protocols it is served over: `rest`, `grpc`, `graphql`."),
  stores: z.array(StoreInfo).optional().meta({
    visibleTo: "system.read",
    description: "The stores in use; only for those who may see how the gateway is set up.",
  }),
});
export type GetInfoResponse = z.output<typeof GetInfoResponse>;
export type WhoAmIResponse = z.output<typeof WhoAmIResponse>;
