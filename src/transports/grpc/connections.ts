import type { ServerHttp2Session } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { type OpenSockets, trackSockets } from "../open-sockets.ts";
import { onHttp2Server } from "./grpc-js-internals.ts";

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** How long a client may take for its TLS handshake, and then until it has begun to speak HTTP/2. */
  readonly handshakeTimeoutMs: number;
}

/** Bounds how many connections there are and how long one may say nothing. Call it before the server listens. */
export function limitConnections(server: Server, limits: ConnectionLimits): OpenSockets {
  const tracked: OpenSockets[] = [];
  const silent = new Set<ServerHttp2Session>();
  onHttp2Server(server, (http2Server) => {
    http2Server.maxConnections = limits.maxConnections;
    tracked.push(trackSockets(http2Server, () => false));
    http2Server.on("session", (session) => {
      const timer = setTimeout(() => session.destroy(), limits.handshakeTimeoutMs);
      const spoke = () => {
        clearTimeout(timer);
        silent.delete(session);
      };
      silent.add(session);
      // A client's first frame holds its settings.
      session.once("remoteSettings", spoke);
      session.once("close", spoke);
    });
  });
  return {
    endSilent() {
      for (const sockets of tracked) sockets.endSilent();
      for (const session of silent) session.destroy();
    },
    endAll() {
      for (const sockets of tracked) sockets.endAll();
    },
  };
}
