import { join } from "node:path";
import {
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import { createGrpcCodec } from "../../../contract/grpc-codec.ts";
import type { Call } from "../../../core/call.ts";
import { createGrpcTransport, type GrpcTransport, type GrpcTransportOptions } from "../grpc-transport.ts";
import { DEFAULT_GRPC_LIMITS, type GrpcLimits } from "../server-options.ts";
import { ECHO_OPERATIONS } from "./echo-operations.ts";

export const ECHO_PROTO_DIR = join(import.meta.dirname, "protos");

/** What a test's operations do; an operation that the test does not use is left out. */
export interface EchoHandlers {
  say?(input: SayInput, call: Call): Promise<object> | object;
  count?(input: { upTo: number }, call: Call): AsyncIterable<object>;
  chat?(inputs: AsyncIterable<{ text: string }>, call: Call): AsyncIterable<object>;
}

export interface SayInput {
  text: string;
  times?: number;
  payload?: unknown;
}

export interface LoggedLine {
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export interface EchoServer {
  readonly transport: GrpcTransport;
  readonly logged: LoggedLine[];
  client(options?: ChannelOptions, channelCredentials?: ChannelCredentials): EchoClient;
  stop(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: the methods of a client made at run time.
export type EchoClient = Client & Record<"Say" | "Count" | "Chat", (...values: any[]) => any>;

type Options = Partial<Omit<GrpcTransportOptions, "limits">> & { readonly limits?: Partial<GrpcLimits> };

/** A real transport on a free port, with clients for it that `stop` closes. */
export async function startEchoServer(handlers: EchoHandlers, options: Options = {}): Promise<EchoServer> {
  const logged: LoggedLine[] = [];
  const log = (fields: object, message: string) => {
    logged.push({ fields: fields as Record<string, unknown>, message });
  };
  const clients: Client[] = [];
  const transport = createGrpcTransport({
    host: "127.0.0.1",
    port: 0,
    operations: ECHO_OPERATIONS,
    dispatcher: {
      unary: async (_, input, call) => handlers.say!(input as SayInput, call),
      serverStream: (_, input, call) => handlers.count!(input as { upTo: number }, call),
      bidi: (_, inputs, call) => handlers.chat!(inputs as AsyncIterable<{ text: string }>, call),
    },
    protoDir: ECHO_PROTO_DIR,
    codec: createGrpcCodec(ECHO_OPERATIONS),
    keepalive: { timeMs: 60_000, timeoutMs: 20_000 },
    reflection: true,
    logger: { debug: log, info: log, warn: log, error: log },
    ...options,
    limits: { ...DEFAULT_GRPC_LIMITS, ...options.limits },
  });
  await transport.start();
  return {
    transport,
    logged,
    client(channelOptions = {}, channelCredentials = credentials.createInsecure()) {
      const Echo = echoClientConstructor();
      const client = new Echo(transport.address, channelCredentials, {
        "grpc.use_local_subchannel_pool": 1,
        ...channelOptions,
      }) as unknown as EchoClient;
      clients.push(client);
      return client;
    },
    async stop() {
      for (const client of clients) client.close();
      await transport.stop(1000);
    },
  };
}

export function loadEchoProto(): PackageDefinition {
  return loadSync("tarl/v1/echo.proto", { includeDirs: [ECHO_PROTO_DIR], defaults: true, oneofs: true });
}

function echoClientConstructor(): ServiceClientConstructor {
  const loaded = loadPackageDefinition(loadEchoProto()) as unknown as {
    tarl: { v1: { EchoService: ServiceClientConstructor } };
  };
  return loaded.tarl.v1.EchoService;
}
