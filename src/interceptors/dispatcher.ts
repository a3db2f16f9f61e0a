import type { Call } from "../core/call.ts";
import { AppError, invalidArgument } from "../core/errors.ts";
import type { Dispatcher, Exchange, Interceptor } from "../core/exchange.ts";
import type { Logger } from "../core/logger.ts";
import type { AnyOperation, BidiOperation, ServerStreamOperation, UnaryOperation } from "../core/operation.ts";
import { isAllowed } from "../services/tenancy/index.ts";
import { namespaceOf } from "./authorize.ts";
import { callError } from "./call-error.ts";
import { abortable } from "./streams.ts";
import { parseInput } from "./violations.ts";
import { compileRedaction, type Redact } from "./visible-fields.ts";

export interface DispatcherOptions {
  /** What the operations' handlers are given: each domain's services under the names they ask for. */
  readonly services: object;
  /** From the outside in. */
  readonly interceptors: readonly Interceptor[];
  readonly logger: Logger;
  /** How long a bidirectional stream may stay open without having said anything. */
  readonly firstMessageMs?: number;
}

const DEFAULT_FIRST_MESSAGE_MS = 10_000;

type Run = (exchange: Exchange) => Promise<unknown>;

/** Puts the interceptors around every operation. What comes out of it, good or bad, is fit for any transport. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { services, logger } = options;
  const redactions = new Map<AnyOperation, Redact | undefined>();

  const runUnary = compose(options.interceptors, ({ operation, input, call }) =>
    Promise.resolve((operation as UnaryOperation<object>).handle(services, input as never, call)),
  );
  const runStream = compose(options.interceptors, ({ operation, input, call }) =>
    Promise.resolve((operation as ServerStreamOperation<object>).handle(services, input as never, call)),
  );

  function redactionOf(operation: AnyOperation): Redact | undefined {
    let redact = redactions.get(operation);
    if (redact === undefined && !redactions.has(operation)) {
      redact = compileRedaction(operation.output);
      redactions.set(operation, redact);
    }
    return redact;
  }

  async function* stream(exchange: Exchange, run: Run): AsyncGenerator<unknown, void, undefined> {
    try {
      const redact = redactionOf(exchange.operation);
      for await (const item of (await run(exchange)) as AsyncIterable<unknown>) {
        yield redact ? redactFor(exchange.call, redact, item) : item;
      }
    } catch (thrown) {
      throw leave(thrown, exchange, logger);
    }
  }

  async function* bidi(operation: BidiOperation<object>, inputs: AsyncIterable<unknown>, call: Call) {
    const messages = abortable(inputs, call, { endsCall: false })[Symbol.asyncIterator]();
    const exchange: Exchange = { operation, call, input: undefined };
    try {
      exchange.input = await firstMessage(messages, call, options.firstMessageMs ?? DEFAULT_FIRST_MESSAGE_MS);
    } catch (thrown) {
      throw leave(thrown, exchange, logger);
    }
    const run = compose(options.interceptors, async () =>
      operation.handle(services, session(exchange, messages) as AsyncIterable<never>, call),
    );
    yield* stream(exchange, run);
  }

  return {
    async unary(operation, input, call) {
      const exchange: Exchange = { operation, call, input };
      try {
        const output = await runUnary(exchange);
        const redact = redactionOf(operation);
        return redact ? redactFor(call, redact, output) : output;
      } catch (thrown) {
        throw leave(thrown, exchange, logger);
      }
    },
    serverStream: (operation, input, call) => closable(stream({ operation, call, input }, runStream), call),
    bidi: (operation, inputs, call) => closable(bidi(operation, inputs, call), call),
  };
}

function compose(interceptors: readonly Interceptor[], innermost: Run): Run {
  return interceptors.reduceRight<Run>(
    (next, interceptor) => (exchange) => interceptor(exchange, () => next(exchange)),
    innermost,
  );
}

function redactFor(call: Call, redact: Redact, output: unknown): unknown {
  return redact(output, (permission) => isAllowed(call.principal, permission, call.namespace));
}

/** A generator that can be left at any time: without the abort, leaving would wait for its next message. */
function closable(generator: AsyncGenerator<unknown>, call: Call): AsyncIterable<unknown> {
  let isOver = false;
  const iterator: AsyncIterator<unknown> = {
    async next() {
      const result = await generator.next();
      isOver ||= result.done === true;
      return result;
    },
    return() {
      if (!isOver) call.abort();
      return generator.return(undefined);
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** The one place where errors get out: as AppErrors, with what went wrong inside in the log and nowhere else. */
function leave(thrown: unknown, { operation, call }: Exchange, logger: Logger): AppError {
  const error = callError(thrown, call);
  if (error.code === "INTERNAL") {
    const { requestId, traceId, principal, namespace } = call;
    logger.error(
      {
        err: error.cause ?? error,
        operation: operation.name,
        requestId,
        traceId,
        principal: principal.id,
        namespace: namespace?.name,
      },
      "An operation failed inside the gateway.",
    );
  }
  return error;
}

async function firstMessage(messages: AsyncIterator<unknown>, call: Call, waitMs: number): Promise<unknown> {
  const timer = setTimeout(() => {
    const message = `The stream was open for ${waitMs} ms without a message. Send the first one at once: it says who you are and where you work.`;
    call.abort(new AppError("DEADLINE_EXCEEDED", "FIRST_MESSAGE_MISSING", message));
  }, waitMs);
  try {
    const first = await messages.next();
    if (!first.done) return first.value;
  } finally {
    clearTimeout(timer);
  }
  throw invalidArgument([{ field: "", message: "the stream ended before its first message" }]);
}

/** The validated messages of one bidirectional stream, all of them for the namespace of the first. */
async function* session(exchange: Exchange, messages: AsyncIterator<unknown>): AsyncGenerator<unknown> {
  yield exchange.input;
  const { operation, call } = exchange;
  try {
    for (;;) {
      const message = await messages.next();
      if (message.done) return;
      const namespace = namespaceOf(message.value);
      if (namespace !== undefined && namespace !== call.namespace?.name) {
        throw invalidArgument([
          { field: "namespace", message: "must be the first message's; open another stream for another namespace" },
        ]);
      }
      yield parseInput(operation, message.value);
    }
  } finally {
    await messages.return?.();
  }
}
