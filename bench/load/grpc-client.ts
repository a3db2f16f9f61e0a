import { fileURLToPath } from "node:url";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition, type ServiceDefinition } from "@grpc/proto-loader";
import { PROTO_LOADER_OPTIONS } from "../../src/contract/proto-loader-options.ts";

const PROTOS = fileURLToPath(new URL("../../protos", import.meta.url));

/** A method of the contract, for example `TaskService/GetTask`. */
export function loadMethod(name: string): MethodDefinition<object, object> {
  const [service = "", method = ""] = name.split("/");
  return loadService(service)[method] as MethodDefinition<object, object>;
}

/** A service of the contract, for example `TaskService`, from the committed protos. */
export function loadService(service: string): ServiceDefinition {
  const file = `tarl/v1/${service.replace(/(?!^)([A-Z])/g, "_$1").toLowerCase()}.proto`;
  return loadSync(file, { ...PROTO_LOADER_OPTIONS, includeDirs: [PROTOS] })[`tarl.v1.${service}`] as ServiceDefinition;
}

/** grpc-js's own client, where what is sent differs from call to call. */
export interface GrpcClient {
  call<Answer>(method: MethodDefinition<object, object>, request: object): Promise<Answer>;
  close(): void;
}

export function createGrpcClient(address: string, key: string): GrpcClient {
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  return {
    call: <Answer>(method: MethodDefinition<object, object>, request: object) =>
      new Promise<Answer>((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          metadata,
          (error: ServiceError | null, answer?: object) => (error ? reject(error) : resolve(answer as Answer)),
        );
      }),
    close: () => client.close(),
  };
}
