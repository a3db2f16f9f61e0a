import { EventEmitter } from "node:events";
import type { Server, ServerDuplexStream, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { openAnswerStream } from "./answer-stream.ts";
import type { CallContext } from "./call-context.ts";
import { createInputQueue } from "./input-queue.ts";
import { sendAll } from "./server-stream.ts";

interface Registration {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/**
 * Adds grpc.reflection v1 and v1alpha, which let clients call the gateway without its protos.
 * What @grpc/reflection answers is sent with the back-pressure, bounds and draining of our own streams.
 */
export function addReflection(server: Server, files: Buffer[], context: CallContext): void {
  for (const { definition, implementation } of registrations(files)) {
    const method = definition.ServerReflectionInfo!;
    const answer = asFunction(implementation.ServerReflectionInfo as (stream: object) => void);
    server.addService(
      { ServerReflectionInfo: { ...method, responseSerialize: (bytes: Buffer) => bytes } },
      {
        ServerReflectionInfo(stream: ServerDuplexStream<unknown, Buffer>) {
          const answers = openAnswerStream(stream, method.path, context);
          const requests = createInputQueue(stream);
          answers.call.onAbort(requests.fail);
          void sendAll(answers, { encode: (output) => method.responseSerialize(output) }, async function* () {
            for await (const request of requests) yield answer(request);
          });
        },
      },
    );
  }
}

/** What the package would add to a server. */
function registrations(fileDescriptorProtos: Buffer[]): Registration[] {
  const found: Registration[] = [];
  const everything = { files: { fileDescriptorProtos } } as unknown as PackageDefinition;
  new ReflectionService(everything).addToServer({
    addService: (definition, implementation) => found.push({ definition, implementation }),
  });
  return found;
}

/** The package answers each "data" event of a stream by one write at once; this is that, without the stream. */
function asFunction(handle: (stream: object) => void): (request: unknown) => unknown {
  const stream = new EventEmitter();
  let written: unknown;
  handle(
    Object.assign(stream, {
      write: (response: unknown) => {
        written = response;
      },
    }),
  );
  return (request) => {
    stream.emit("data", request);
    return written;
  };
}
