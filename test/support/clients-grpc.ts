import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials, Metadata, type ServiceError, status as statuses } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition, type ServiceDefinition } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import { createGrpcCodec, type PlainObject } from "../../src/contract/grpc-codec.ts";
import { PROTO_LOADER_OPTIONS } from "../../src/contract/proto-loader-options.ts";
import type { ErrorCode } from "../../src/core/errors.ts";
import { operations } from "../../src/operations.ts";
import { addGoogleRpc } from "../../src/transports/grpc/google-rpc.ts";
import { createMailbox, type Mailbox } from "./clients-mailbox.ts";
import {
  type CallOptions,
  type Failure,
  HANG_MS,
  type Input,
  type Outcome,
  operationNamed,
  type ProtocolClient,
  type StreamReader,
} from "./clients-model.ts";

const PROTO_DIR = join(import.meta.dirname, "../../protos");

export interface GrpcClient extends ProtocolClient {
  /** Calls with bytes as they are, be they a message or not. */
  callBytes(operation: string, bytes: Uint8Array, options?: CallOptions): Promise<Outcome>;
  /** Opens a bidirectional stream. */
  session(operation: string, options?: CallOptions): StreamReader & { send(input: Input): void; finish(): void };
}

export type GrpcWire = ReturnType<typeof createGrpcWire>;

/** Encodes inputs and decodes outputs of operations as a client that has the committed protos. */
export function createGrpcWire() {
  const files = readdirSync(join(PROTO_DIR, "tarl/v1")).filter((file) => file.endsWith("_service.proto"));
  const loaded = loadSync(
    files.map((file) => `tarl/v1/${file}`),
    { ...PROTO_LOADER_OPTIONS, includeDirs: [PROTO_DIR] },
  );
  const codec = createGrpcCodec(operations);
  const methodOf = (name: string): MethodDefinition<object, object> => {
    const [service, method] = operationNamed(name).grpc.split("/") as [string, string];
    return (loaded[`tarl.v1.${service}`] as ServiceDefinition)[method]!;
  };
  return {
    path: (name: string) => methodOf(name).path,
    encode: (name: string, input: Input) =>
      methodOf(name).requestSerialize(codec.input(operationNamed(name)).toMessage(input)),
    decode: (name: string, bytes: Buffer) =>
      codec.output(operationNamed(name)).fromMessage(methodOf(name).responseDeserialize(bytes) as PlainObject),
    /** The input as the gateway will see it. */
    received: (name: string, bytes: Buffer) =>
      codec.input(operationNamed(name)).fromMessage(methodOf(name).requestDeserialize(bytes) as PlainObject),
  };
}

export function createGrpcClient(address: string): GrpcClient {
  const wire = createGrpcWire();
  const readDetails = createDetailsReader();
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const asIs = (bytes: Buffer) => bytes;
  const fail = (mailbox: Mailbox, error: ServiceError) => {
    if (error.code === statuses.CANCELLED && !error.metadata?.get("grpc-status-details-bin").length) return;
    try {
      mailbox.push({ kind: "failure", failure: failureOf(error, readDetails) });
    } catch (unreadable) {
      mailbox.fail(unreadable);
    }
  };

  function callBytes(operation: string, bytes: Uint8Array, options: CallOptions = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        wire.path(operation),
        asIs,
        asIs,
        Buffer.from(bytes),
        metadataOf(options),
        { deadline: options.timeoutMs === undefined ? Date.now() + HANG_MS : Number.POSITIVE_INFINITY },
        (error, answer) => {
          try {
            if (error) resolve(failureOf(error, readDetails));
            else resolve({ ok: true, output: wire.decode(operation, answer!) });
          } catch (unreadable) {
            reject(unreadable);
          }
        },
      );
    });
  }

  return {
    protocol: "grpc",
    callBytes,
    call: async (operation, input, options) => callBytes(operation, wire.encode(operation, input), options),
    streams: {
      grpc(operation, input, options = {}) {
        const bytes = wire.encode(operation, input);
        const stream = client.makeServerStreamRequest(wire.path(operation), asIs, asIs, bytes, metadataOf(options), {});
        const mailbox = createMailbox(`${operation} over gRPC`, () => stream.cancel());
        stream.on("data", (answer: Buffer) =>
          mailbox.push({ kind: "message", output: wire.decode(operation, answer) }),
        );
        stream.on("end", () => mailbox.push({ kind: "end" }));
        stream.on("error", (error: ServiceError) => fail(mailbox, error));
        return mailbox;
      },
    },
    session(operation, options = {}) {
      const stream = client.makeBidiStreamRequest(wire.path(operation), asIs, asIs, metadataOf(options), {});
      const mailbox = createMailbox(`${operation} over gRPC`, () => stream.cancel());
      stream.on("data", (answer: Buffer) => mailbox.push({ kind: "message", output: wire.decode(operation, answer) }));
      stream.on("end", () => mailbox.push({ kind: "end" }));
      stream.on("error", (error: ServiceError) => fail(mailbox, error));
      return {
        ...mailbox,
        send: (input) => void stream.write(wire.encode(operation, input)),
        finish: () => stream.end(),
      };
    },
    close: () => client.close(),
  };
}

function metadataOf({ authorization, idempotencyKey, timeoutMs }: CallOptions): Metadata {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set("authorization", authorization);
  if (idempotencyKey !== undefined) metadata.set("idempotency-key", idempotencyKey);
  // Only in the header: a deadline of its own would end the call here before the gateway could say so.
  if (timeoutMs !== undefined) metadata.set("grpc-timeout", `${timeoutMs}m`);
  return metadata;
}

type Details = Record<string, Record<string, unknown>>;
type DetailsReader = (bytes: Buffer) => { code: number; message: string; details: Details };

/** Reads google.rpc.Status and the messages it holds. */
function createDetailsReader(): DetailsReader {
  const root = new protobuf.Root();
  addGoogleRpc(root);
  const statusType = root.lookupType("google.rpc.Status");
  return (bytes) => {
    const decoded = statusType.decode(bytes) as unknown as {
      code: number;
      message: string;
      details: { type_url: string; value: Uint8Array }[];
    };
    const details: Details = {};
    for (const { type_url, value } of decoded.details) {
      const name = type_url.replace("type.googleapis.com/", "");
      const type = root.lookupType(name);
      details[name.replace("google.rpc.", "")] = type.toObject(type.decode(value), { longs: Number, defaults: true });
    }
    return { code: decoded.code, message: decoded.message, details };
  };
}

/** What grpc-js answers by itself, before or beside the gateway: it has no details. */
const OF_THE_LIBRARY = /^(Deadline exceeded|Received message larger than max)/;

function failureOf(error: ServiceError, readDetails: DetailsReader): Failure {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!(bytes instanceof Buffer) && OF_THE_LIBRARY.test(error.details)) {
    return { ok: false, code: statuses[error.code] as ErrorCode, reason: "", message: error.details, details: {} };
  }
  if (!(bytes instanceof Buffer)) {
    throw new Error(`gRPC status ${error.code} (${error.details}) carries no grpc-status-details-bin.`);
  }
  const { code, message, details } = readDetails(bytes);
  if (code !== error.code || message !== error.details) {
    throw new Error(`The status says ${error.code} "${error.details}", its details ${code} "${message}".`);
  }
  // biome-ignore lint/suspicious/noExplicitAny: decoded messages, compared field by field by the tests.
  const { ErrorInfo, RetryInfo, QuotaFailure, BadRequest } = details as Record<string, any>;
  const fields = BadRequest?.field_violations.map((violation: { field: string; description: string }) => ({
    field: violation.field,
    message: violation.description,
  }));
  const quota = QuotaFailure?.violations[0];
  const hasMetadata = Object.keys(ErrorInfo?.metadata ?? {}).length > 0;
  return {
    ok: false,
    code: statuses[code] as ErrorCode,
    reason: ErrorInfo?.reason,
    message,
    details: {
      ...(fields && { fields }),
      ...(quota && { quota: { subject: quota.subject, description: quota.description } }),
      ...(hasMetadata && { metadata: ErrorInfo.metadata }),
    },
    ...(RetryInfo && {
      retryAfterMs: Number(RetryInfo.retry_delay.seconds) * 1000 + RetryInfo.retry_delay.nanos / 1_000_000,
    }),
  };
}
