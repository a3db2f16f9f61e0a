import type { Metadata, ServiceError, StatusObject } from "@grpc/grpc-js";
import type { EchoClient } from "./echo-server.ts";

export interface UnaryAnswer {
  readonly error: ServiceError | null;
  readonly response: Record<string, unknown> | undefined;
  readonly headers: Metadata | undefined;
}

/** Calls Say and resolves with whatever came back, error or answer. */
export function say(client: EchoClient, request: object, ...options: object[]): Promise<UnaryAnswer> {
  return new Promise((resolve) => {
    let headers: Metadata | undefined;
    client
      .Say(request, ...options, (error: ServiceError | null, response?: Record<string, unknown>) => {
        resolve({ error, response, headers });
      })
      .on("metadata", (metadata: Metadata) => {
        headers = metadata;
      });
  });
}

interface ClientStream {
  // biome-ignore lint/suspicious/noExplicitAny: the values differ by event and by client.
  on(event: string, listener: (...values: any[]) => void): unknown;
}

/** Resolves when the stream has ended, with its status and what it sent. */
export function collect(stream: ClientStream): Promise<{ status: StatusObject; messages: Record<string, unknown>[] }> {
  return new Promise((resolve) => {
    const messages: Record<string, unknown>[] = [];
    stream.on("data", (message: Record<string, unknown>) => messages.push(message));
    stream.on("error", () => {});
    stream.on("status", (status: StatusObject) => resolve({ status, messages }));
  });
}

/** Resolves with the next value of an event. */
export function nextEvent<Value>(stream: ClientStream, event: string): Promise<Value> {
  return new Promise((resolve) => {
    stream.on(event, (value: Value) => resolve(value));
  });
}
