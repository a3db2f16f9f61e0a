import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { CloseCode, handleProtocols, makeServer } from "graphql-ws";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { Logger } from "../../core/logger.ts";
import type { BodyBudget } from "../body-budget.ts";
import { abortContext, endContext } from "./context.ts";
import { ENDPOINT, pathOf } from "./http-handler.ts";
import { meterSocket } from "./socket-meter.ts";
import { createSocketHooks, type SocketSession, type SocketSessionOptions } from "./socket-session.ts";

/** RFC 6455 and IANA: the server restarts; connect again. */
const SERVICE_RESTART = 1012;

export interface SocketServerOptions extends SocketSessionOptions {
  readonly logger: Logger;
  /** What all bodies and messages that are being taken in may take together. */
  readonly budget: BodyBudget;
}

export interface SocketServer {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Refuses new sockets and operations; called before the streams are ended. */
  refuseNew(): void;
  /** Closes every socket and waits until its client has agreed, or ends it at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

/** GraphQL over WebSocket, in the graphql-transport-ws protocol, as its PROTOCOL.md has it. */
export function createSocketServer(options: SocketServerOptions): SocketServer {
  const { limits, logger } = options;
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: limits.maxBodyBytes,
    handleProtocols,
    perMessageDeflate: false,
    clientTracking: true,
  });
  const protocol = makeServer(createSocketHooks(options));
  const sessions = new Map<WebSocket, SocketSession>();
  const heartbeats = new Map<WebSocket, { missed: number }>();
  let isRefusing = false;

  // One timer for all sockets: a consumer that does not read does not answer pings either.
  const timer = setInterval(() => {
    for (const [socket, heartbeat] of heartbeats) {
      if (hasExpired(sessions.get(socket))) socket.close(CloseCode.Forbidden, "Credential expired");
      else if (++heartbeat.missed > 2) socket.terminate();
      else socket.ping();
    }
  }, limits.heartbeatMs);
  timer.unref();

  function accept(socket: WebSocket, request: IncomingMessage, connection: Duplex): void {
    const session: SocketSession = {
      peer: request.socket.remoteAddress,
      authorization: request.headers.authorization,
      principal: undefined,
      contexts: new Map(),
      written: new Set(),
      isBroken: false,
    };
    const heartbeat = { missed: 0 };
    meterSocket(socket, connection, { budget: options.budget, isKnown: () => session.principal !== undefined });
    sessions.set(socket, session);
    heartbeats.set(socket, heartbeat);
    socket.on("pong", () => {
      heartbeat.missed = 0;
    });
    // Broken frames and oversized messages; ws closes the socket with the right code itself.
    socket.on("error", () => {});
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (text) => send(socket, text),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (listener) => socket.on("message", (data, isBinary) => receive(socket, data, isBinary, listener)),
      },
      session,
    );
    socket.once("close", (code, reason) => {
      sessions.delete(socket);
      heartbeats.delete(socket);
      // Before graphql-ws closes the streams: those that wait for an event end by their signal only.
      lose(session);
      Promise.resolve(closed(code, String(reason))).catch((err) => logger.error({ err }, "closing a socket failed"));
    });
  }

  /** Waits until the text has left the process, so that a stream is read no faster than its client reads. */
  function send(socket: WebSocket, text: string): Promise<void> {
    if (socket.readyState !== socket.OPEN) {
      // A source that is always ready would keep the event loop from ever hearing of the close.
      lose(sessions.get(socket));
      return new Promise((resolve) => setImmediate(resolve));
    }
    if (socket.bufferedAmount > limits.maxBufferedBytes) {
      logger.warn({ bufferedBytes: socket.bufferedAmount }, "ended a socket whose client does not read");
      lose(sessions.get(socket));
      socket.terminate();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      socket.send(text, (error) => {
        // The socket closes then, which ends everything on it.
        if (error) lose(sessions.get(socket));
        resolve();
      });
    });
  }

  function receive(
    socket: WebSocket,
    data: RawData,
    isBinary: boolean,
    listener: (text: string) => Promise<void>,
  ): void {
    if (isBinary) {
      socket.close(CloseCode.BadRequest, "Invalid message received");
      return;
    }
    listener(String(data)).catch((err: unknown) => {
      // A message of a type that only servers send; every other failure is ours.
      if (err instanceof Error && err.message.startsWith("Unexpected message of type")) {
        return socket.close(CloseCode.BadRequest, "Invalid message received");
      }
      logger.error({ err }, "handling a WebSocket message failed");
      socket.close(CloseCode.InternalServerError, "Internal server error");
    });
  }

  return {
    upgrade(request, socket, head) {
      if (pathOf(request) !== ENDPOINT) return refuse(socket, "404 Not Found");
      if (isRefusing || sessions.size >= limits.maxSockets) return refuse(socket, "503 Service Unavailable");
      server.handleUpgrade(request, socket, head, (opened) => accept(opened, request, socket));
    },
    refuseNew() {
      isRefusing = true;
    },
    async close(deadlineMs) {
      clearInterval(timer);
      for (const socket of sessions.keys()) socket.close(SERVICE_RESTART, "Service restart");
      const deadline = setTimeout(() => {
        for (const socket of sessions.keys()) socket.terminate();
      }, deadlineMs);
      await Promise.all([...sessions.keys()].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
      clearTimeout(deadline);
    },
  };
}

/** Nothing more reaches the client of this socket. */
function lose(session: SocketSession | undefined): void {
  if (!session) return;
  session.isBroken = true;
  for (const context of session.contexts.values()) {
    abortContext(context);
    endContext(context, false);
  }
}

function hasExpired(session: SocketSession | undefined): boolean {
  const expiresAtMs = session?.principal?.expiresAtMs;
  return expiresAtMs !== undefined && expiresAtMs <= Date.now();
}

function refuse(socket: Duplex, status: string): void {
  socket.once("error", () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
