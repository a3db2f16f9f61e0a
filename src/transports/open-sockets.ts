import type { Server, Socket } from "node:net";
import { TLSSocket, Server as TlsServer } from "node:tls";

/** The connections of a server, as far as stopping it needs to know them. */
export interface OpenSockets {
  /** Ends those that are still in their TLS handshake, and those of which `isSilent` says that they asked for nothing. */
  endSilent(): void;
  endAll(): void;
}

/** Node's own ways of closing connections leave out those that are still in their TLS handshake. */
export function trackSockets(server: Server, isSilent: (socket: Socket) => boolean): OpenSockets {
  // By the client's address, which a connection keeps when TLS puts a socket of its own around it.
  const sockets = new Map<string, Socket>();
  const isTls = server instanceof TlsServer;

  function add(socket: Socket): void {
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    sockets.set(address, socket);
    socket.once("close", () => {
      if (sockets.get(address) === socket) sockets.delete(address);
    });
  }

  server.on("connection", add);
  server.on("secureConnection", add);
  return {
    endSilent() {
      for (const socket of sockets.values()) {
        if (isSilent(socket) || (isTls && !(socket instanceof TLSSocket))) socket.destroy();
      }
    },
    endAll() {
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}
