import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { BenchGateway } from "../harness/gateway.ts";
import { loadMethod } from "../load/grpc-client.ts";

interface IngestAnswer {
  readonly writtenRows?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** One stream of batches, through grpc-js's own client. */
export interface IngestStream {
  /** Sends a prepared batch; resolves with the number of rows once they are acknowledged, which must be all. */
  send(message: Buffer): Promise<number>;
  close(): Promise<void>;
}

export function openIngestStream({ grpc, key }: BenchGateway): IngestStream {
  const method = loadMethod("FeatureService/IngestFeatures");
  const client = new Client(grpc, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const prepared = (message: Buffer) => message;
  const stream = client.makeBidiStreamRequest(method.path, prepared, method.responseDeserialize, metadata);
  const waiting: { resolve(rows: number): void; reject(error: Error): void }[] = [];
  const ended = new Promise<void>((resolve) => void stream.on("end", resolve));
  let failure: Error | undefined;

  // Batches are answered in the order in which they were sent.
  stream.on("data", ({ writtenRows, reason, message }: IngestAnswer) => {
    const { resolve, reject } = waiting.shift()!;
    if (reason === undefined) resolve(writtenRows ?? 0);
    else reject(new Error(`A batch was refused: ${reason}: ${message}`));
  });
  stream.on("error", (error: Error) => {
    failure = error;
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  return {
    send: (message) =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure);
        waiting.push({ resolve, reject });
        stream.write(message);
      }),
    async close() {
      stream.end();
      await Promise.race([ended, new Promise((resolve) => void stream.on("error", resolve))]);
      client.close();
    },
  };
}
