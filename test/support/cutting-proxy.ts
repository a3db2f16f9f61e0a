import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server on 127.0.0.1, and breaks connections at the worst moment. */
export interface CuttingProxy {
  readonly port: number;
  /** Lets the next request that contains `text` reach the server, and cuts the connection where the answer comes. */
  cutAnswerTo(text: string): void;
  stop(): Promise<void>;
}

export async function startCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let wanted: string | undefined;

  const listener = createServer((client) => {
    const server = connect(serverPort, "127.0.0.1");
    let isDoomed = false;
    const end = () => {
      for (const socket of [client, server]) {
        socket.destroy();
        sockets.delete(socket);
      }
    };
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", end).on("close", end);
    }
    client.on("data", (data) => {
      if (wanted !== undefined && data.includes(wanted)) {
        isDoomed = true;
        wanted = undefined;
      }
      server.write(data);
    });
    server.on("data", (data) => {
      if (isDoomed) end();
      else client.write(data);
    });
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    cutAnswerTo(text) {
      wanted = text;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}
