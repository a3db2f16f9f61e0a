import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server of this machine, to break what is between them. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections have been made through it. */
  readonly connections: number;
  /** Breaks all connections and takes no new ones until `mend`. */
  cut(): void;
  /** Carries nothing more on the connections there are, and lets neither side know. */
  freeze(): void;
  mend(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [client: Socket, server: Socket]>();
  let isCut = false;
  let connections = 0;
  const listener = createServer((client) => {
    if (isCut) return void client.destroy();
    connections += 1;
    const server = connect(targetPort, "127.0.0.1");
    const pair = [client, server] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [server, client] as const]) {
      from.pipe(to);
      from.on("error", () => {});
      from.on("close", () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  const breakAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    cut() {
      isCut = true;
      breakAll();
    },
    freeze() {
      for (const [client, server] of pairs) {
        client.unpipe(server);
        server.unpipe(client);
        for (const socket of [client, server]) socket.pause();
      }
    },
    mend() {
      isCut = false;
    },
    async stop() {
      breakAll();
      listener.close();
      await once(listener, "close");
    },
  };
}
