import { AppError, toAppError } from "../core/errors.ts";
import type { Exchange, Interceptor } from "../core/exchange.ts";
import type { Authenticator, NamespaceDirectory } from "../services/tenancy/index.ts";
import { reauthorize } from "./authorize.ts";
import { withEnd } from "./streams.ts";

export interface GuardStreamsOptions {
  readonly authenticator: Authenticator;
  readonly directory: NamespaceDirectory;
  /** Streams that one principal may have open at this gateway. */
  readonly maxStreamsPerPrincipal?: number;
  /** How often an open stream's credential and permission are checked again. */
  readonly recheckMs?: number;
}

const DEFAULT_MAX_STREAMS_PER_PRINCIPAL = 1000;
const DEFAULT_RECHECK_MS = 5000;

/** Bounds how many streams a principal holds, and ends those whose credential or permission has gone. */
export function guardStreams(options: GuardStreamsOptions): Interceptor {
  const maxStreams = options.maxStreamsPerPrincipal ?? DEFAULT_MAX_STREAMS_PER_PRINCIPAL;
  const recheckMs = options.recheckMs ?? DEFAULT_RECHECK_MS;
  const open = new Map<string, number>();

  function enter(principalId: string): () => void {
    const count = open.get(principalId) ?? 0;
    if (count >= maxStreams) throw tooManyStreams(maxStreams);
    open.set(principalId, count + 1);
    return () => {
      const rest = (open.get(principalId) ?? 1) - 1;
      if (rest > 0) open.set(principalId, rest);
      else open.delete(principalId);
    };
  }

  return (exchange, next) => (exchange.operation.kind === "unary" ? next() : guard(exchange, next));

  async function guard(exchange: Exchange, next: () => Promise<unknown>): Promise<unknown> {
    const leave = enter(exchange.call.principal.id);
    const timer = setInterval(() => void recheck(exchange, options), recheckMs);
    timer.unref();
    const end = () => {
      clearInterval(timer);
      leave();
    };
    try {
      return withEnd((await next()) as AsyncIterable<unknown>, end);
    } catch (thrown) {
      end();
      throw thrown;
    }
  }
}

async function recheck(exchange: Exchange, { authenticator, directory }: GuardStreamsOptions): Promise<void> {
  const { call } = exchange;
  try {
    call.principal = await authenticator.authenticate(call.incoming.authorization);
    await reauthorize(exchange, directory);
  } catch (thrown) {
    const error = toAppError(thrown);
    // A store that does not answer says nothing about the caller: the stream goes on until it does.
    if (error.code !== "UNAVAILABLE" && error.code !== "INTERNAL") call.abort(error);
  }
}

function tooManyStreams(maxStreams: number): AppError {
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_STREAMS",
    `You have ${maxStreams} streams open at this gateway, which is as many as one caller may have. Close some first.`,
    { retryAfterMs: 1000, details: { quota: { subject: "streams", description: `at most ${maxStreams} per caller` } } },
  );
}
