import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { service } from "grpc-health-check";
import type { AppError } from "../../core/errors.ts";
import type { ActiveCall, ActiveCalls } from "./active-calls.ts";

interface HealthRequest {
  readonly service: string;
}

interface HealthResponse {
  readonly status: "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";
}

interface HealthList {
  readonly statuses: Record<string, HealthResponse>;
}

/** grpc.health.v1: one state for the whole server (`""`) and for each of its services. No key is asked for. */
export interface Health {
  setServing(serving: boolean): void;
  addToServer(server: Pick<Server, "addService">): void;
}

/** Ends its watches when the gateway drains, which the one of grpc-health-check would leave open. */
export function createHealth(serviceNames: readonly string[], activeCalls: ActiveCalls): Health {
  const known = new Set(["", ...serviceNames]);
  const watchers = new Set<() => void>();
  let serving = false;

  function statusOf(name: string): HealthResponse {
    if (!known.has(name)) return { status: "SERVICE_UNKNOWN" };
    return { status: serving ? "SERVING" : "NOT_SERVING" };
  }

  function check({ request }: ServerUnaryCall<HealthRequest, HealthResponse>, respond: sendUnaryData<HealthResponse>) {
    if (known.has(request.service)) respond(null, statusOf(request.service));
    else respond({ code: status.NOT_FOUND, details: "There is no service of that name here; List names them all." });
  }

  function list(_: ServerUnaryCall<object, HealthList>, respond: sendUnaryData<HealthList>) {
    respond(null, { statuses: Object.fromEntries([...known].map((name) => [name, statusOf(name)])) });
  }

  function watch(stream: ServerWritableStream<HealthRequest, HealthResponse>) {
    const send = () => {
      stream.write(statusOf(stream.request.service));
    };
    const active: ActiveCall = {
      kind: "stream",
      fail(error: AppError) {
        forget();
        stream.emit("error", { code: status.UNAVAILABLE, details: error.message });
      },
    };
    const forget = () => {
      watchers.delete(send);
      activeCalls.delete(active);
    };
    watchers.add(send);
    activeCalls.add(active);
    stream.on("cancelled", forget);
    send();
  }

  return {
    setServing(next) {
      if (next === serving) return;
      serving = next;
      for (const send of watchers) send();
    },
    addToServer: (server) => server.addService(service, { check, watch, list }),
  };
}
