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

/** Bounds how many streams a principal holds, and ends streams and long polls whose credential or permission has gone. */
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

  /** Looks again from time to time whether the caller is still welcome; answers what ends that. */
  function watch(exchange: Exchange): () => void {
    const timer = setInterval(() => void recheck(exchange, options), recheckMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  return (exchange, next) => {
    if (exchange.operation.kind !== "unary") return guard(exchange, next);
    return isWaiting(exchange.input) ? next().finally(watch(exchange)) : next();
  };

  async function guard(exchange: Exchange, next: () => Promise<unknown>): Promise<unknown> {
    const leave = enter(exchange.call.principal.id);
    const stop = watch(exchange);
    const end = () => {
      stop();
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

/** A long poll: it may be granted something long after it was let in. */
function isWaiting(input: unknown): boolean {
  return (input as { readonly waitMs?: number }).waitMs !== undefined && (input as { waitMs: number }).waitMs > 0;
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
