import { connect, type Socket } from "node:net";

/** One unary call that is made again and again. */
export interface UnaryCall {
  /** `/tarl.v1.SystemService/WhoAmI` */
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The encoded request message. */
  readonly message: Buffer;
}

/** One HTTP/2 connection that carries any number of the call at a time. */
export interface GrpcConnection {
  /** Resolves when the call was answered with a message, which a failed unary call never is. */
  call(): Promise<void>;
  close(): void;
}

const FRAME_HEAD_BYTES = 9;
const FRAME = { data: 0, headers: 1, resetStream: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4 } as const;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SETTING_INITIAL_WINDOW_SIZE = 4;
const LARGEST_WINDOW = 0x7fff_ffff;
const FIRST_WINDOW = 65_535;
/** The connection's window is opened again after this many bytes. */
const REFILL_BYTES = 16 * 1024 * 1024;

/**
 * Opens a connection for one call. grpc-js's own client costs more than its server, and would be
 * what is measured; this one writes prepared bytes and counts frames.
 */
export async function openGrpcConnection(address: string, call: UnaryCall): Promise<GrpcConnection> {
  const [host = "", port = ""] = address.split(":");
  const socket = await open(host, Number(port));
  const writer = createCorkedWriter(socket);
  const encode = createCallEncoder(address, call);
  const calls = new Map<number, PendingCall>();
  let nextStream = 1;
  let unacknowledgedBytes = 0;

  const failAll = (error: Error) => {
    for (const pending of calls.values()) pending.reject(error);
    calls.clear();
  };
  const onFrame = (type: number, flags: number, stream: number, payload: Buffer) => {
    if (type === FRAME.data || type === FRAME.headers) {
      settleCall(calls, { type, flags, stream, size: payload.length });
      if (type === FRAME.data) unacknowledgedBytes += payload.length;
      if (unacknowledgedBytes < REFILL_BYTES) return;
      writer(frame(FRAME.windowUpdate, 0, 0, uint32(unacknowledgedBytes)));
      unacknowledgedBytes = 0;
    } else if (type === FRAME.settings && !(flags & FLAG.ack)) {
      writer(frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)));
    } else if (type === FRAME.ping && !(flags & FLAG.ack)) {
      writer(frame(FRAME.ping, FLAG.ack, 0, payload));
    } else if (type === FRAME.resetStream) {
      calls.get(stream)?.reject(new Error(`The server reset a call with code ${payload.readUInt32BE(0)}.`));
      calls.delete(stream);
    } else if (type === FRAME.goAway) {
      failAll(new Error(`The server ends the connection with code ${payload.readUInt32BE(4)}.`));
    }
  };
  socket.on("data", createFrameReader(onFrame));
  socket.on("error", failAll);
  socket.on("close", () => failAll(new Error("The server closed the connection.")));

  const setting = Buffer.alloc(6);
  setting.writeUInt16BE(SETTING_INITIAL_WINDOW_SIZE, 0);
  setting.writeUInt32BE(LARGEST_WINDOW, 2);
  writer(PREFACE);
  writer(frame(FRAME.settings, 0, 0, setting));
  writer(frame(FRAME.windowUpdate, 0, 0, uint32(LARGEST_WINDOW - FIRST_WINDOW)));

  return {
    call: () =>
      new Promise((resolve, reject) => {
        calls.set(nextStream, { resolve, reject, hasMessage: false });
        writer(encode(nextStream));
        nextStream += 2;
      }),
    close: () => socket.destroy(),
  };
}

interface PendingCall {
  resolve(): void;
  reject(error: Error): void;
  hasMessage: boolean;
}

interface StreamFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly size: number;
}

function settleCall(calls: Map<number, PendingCall>, { type, flags, stream, size }: StreamFrame): void {
  const pending = calls.get(stream);
  if (!pending) return;
  if (type === FRAME.data && size > 0) pending.hasMessage = true;
  if (!(flags & FLAG.endStream)) return;
  calls.delete(stream);
  if (pending.hasMessage) pending.resolve();
  else pending.reject(new Error("A call was answered without a message: it failed."));
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

/** Writes what one turn of the event loop made in one go. */
function createCorkedWriter(socket: Socket): (bytes: Buffer) => void {
  let isCorked = false;
  return (bytes) => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      setImmediate(() => {
        isCorked = false;
        socket.uncork();
      });
    }
    socket.write(bytes);
  };
}

function createFrameReader(onFrame: (type: number, flags: number, stream: number, payload: Buffer) => void) {
  let held: Buffer | undefined;
  return (chunk: Buffer) => {
    const bytes: Buffer = held ? Buffer.concat([held, chunk]) : chunk;
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      const stream = bytes.readUInt32BE(at + 5) & LARGEST_WINDOW;
      onFrame(bytes[at + 3]!, bytes[at + 4]!, stream, bytes.subarray(at + FRAME_HEAD_BYTES, end));
      at = end;
    }
    held = at === bytes.length ? undefined : bytes.subarray(at);
  };
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

const STATIC_METHOD_POST = 0x83;
const STATIC_SCHEME_HTTP = 0x86;
const FIRST_DYNAMIC_INDEX = 62;

/** The frames of the call: headers in full the first time, and by their place in the header table from then on. */
function createCallEncoder(address: string, { path, metadata, message }: UnaryCall): (stream: number) => Buffer {
  const fields = Object.entries({
    ":authority": address,
    ":path": path,
    te: "trailers",
    "content-type": "application/grpc",
    "user-agent": "tarl-bench",
    ...metadata,
  });
  const literals = fields.flatMap(([name, value]) => [Buffer.of(0x40), hpackString(name), hpackString(value)]);
  const references = fields.map((_, index) => 0x80 | (FIRST_DYNAMIC_INDEX + fields.length - 1 - index));
  const pseudo = Buffer.of(STATIC_METHOD_POST, STATIC_SCHEME_HTTP);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const data = frame(FRAME.data, FLAG.endStream, 0, Buffer.concat([prefix, message]));
  const build = (fieldBytes: Buffer) => {
    const headers = frame(FRAME.headers, FLAG.endHeaders, 0, Buffer.concat([pseudo, fieldBytes]));
    return { bytes: Buffer.concat([headers, data]), dataAt: headers.length };
  };
  const first = build(Buffer.concat(literals));
  const later = build(Buffer.from(references));
  return (stream) => {
    const template = stream === 1 ? first : later;
    const bytes = Buffer.from(template.bytes);
    bytes.writeUInt32BE(stream, 5);
    bytes.writeUInt32BE(stream, template.dataAt + 5);
    return bytes;
  };
}

const LONGEST_SHORT_STRING = 126;

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= LONGEST_SHORT_STRING) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  // Seven bits of ones, then what is left in groups of seven bits.
  const left = bytes.length - 127;
  const length = left < 128 ? [127, left] : [127, (left & 127) | 128, left >> 7];
  return Buffer.concat([Buffer.from(length), bytes]);
}
