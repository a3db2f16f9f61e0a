import { z } from "zod";
import { json } from "../../../core/json.ts";
import { bidi, operation, serverStream } from "../../../core/operation.ts";
import { instant, message } from "../../../core/schema.ts";

function unused(): never {
  throw new Error("The tests answer through their own dispatcher.");
}

const SayRequest = message("SayRequest", "What to say.", {
  text: z.string(),
  times: z.int32().optional(),
  payload: json("Anything.").optional(),
});
const SayResponse = message("SayResponse", "What was said.", {
  text: z.string(),
  saidAt: instant("When.").optional(),
  payload: json("Anything.").optional(),
});
const CountRequest = message("CountRequest", "How far.", { upTo: z.int32() });
const CountResponse = message("CountResponse", "How far it is.", { index: z.int32(), padding: z.string() });
const ChatRequest = message("ChatRequest", "One thing said.", { text: z.string() });
const ChatResponse = message("ChatResponse", "One answer.", { text: z.string() });

/** One operation of each kind, as `protos/tarl/v1/echo.proto` declares them. */
export const sayOperation = operation({
  name: "echo.say",
  summary: "Says the text back.",
  rest: "GET /v1/echo",
  grpc: "EchoService/Say",
  graphql: "query say",
  permission: "echo.say",
  input: SayRequest,
  output: SayResponse,
  handle: unused,
});

export const countOperation = serverStream({
  name: "echo.count",
  summary: "Counts.",
  rest: "GET /v1/echo:count",
  grpc: "EchoService/Count",
  graphql: "subscription count",
  permission: "echo.count",
  input: CountRequest,
  output: CountResponse,
  handle: unused,
});

export const chatOperation = bidi({
  name: "echo.chat",
  summary: "Answers each message.",
  grpc: "EchoService/Chat",
  permission: "echo.chat",
  input: ChatRequest,
  output: ChatResponse,
  handle: unused,
});

export const ECHO_OPERATIONS = [sayOperation, countOperation, chatOperation];
