import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "../../core/errors.ts";

/** Where an HTTP server listens; the port is the real one once it has started. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** Opens the server's port. `name` is the protocol's as people write it, e.g. `GraphQL`. */
export function listen(server: Server, name: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error & { code?: string }) => {
      const isTaken = error.code === "EADDRINUSE";
      const message = isTaken
        ? `Port ${port} on ${host} is in use. Stop what listens there, or set TARL_${name.toUpperCase()}_PORT to another.`
        : `The ${name} server cannot listen on ${host}:${port}: ${error.message}`;
      reject(new AppError("UNAVAILABLE", isTaken ? "PORT_IN_USE" : "LISTEN_FAILED", message, { cause: error }));
    };
    server.once("error", onError);
    server.listen(port, host, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

/** Where `server` listens, or will. */
export function addressOf(server: Server, host: string, port: number, isTls: boolean, path = ""): HttpAddress {
  const bound = server.address() as AddressInfo | null;
  const realPort = bound?.port ?? port;
  const name = host.includes(":") ? `[${host}]` : host;
  return { host, port: realPort, url: `${isTls ? "https" : "http"}://${name}:${realPort}${path}` };
}
