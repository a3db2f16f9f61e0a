import { operation } from "../../core/operation.ts";
import { GetInfoRequest, GetInfoResponse, WhoAmIRequest, WhoAmIResponse } from "./model.ts";
import type { SystemService } from "./system-service.ts";

interface Services {
  readonly system: SystemService;
}

export const whoAmI = operation({
  name: "system.whoAmI",
  summary: "Says who the caller is and what it may do.",
  rest: "GET /v1/whoami",
  grpc: "SystemService/WhoAmI",
  graphql: "query whoAmI",
  permission: "",
  input: WhoAmIRequest,
  output: WhoAmIResponse,
  handle: ({ system }: Services, _input, call) => system.whoAmI(call.principal),
});

export const getInfo = operation({
  name: "system.getInfo",
  summary: "Says what this gateway is.",
  rest: "GET /v1/info",
  grpc: "SystemService/GetInfo",
  graphql: "query info",
  permission: "",
  input: GetInfoRequest,
  output: GetInfoResponse,
  handle: ({ system }: Services) => system.getInfo(),
});

export const SYSTEM_OPERATIONS = [whoAmI, getInfo] as const;
