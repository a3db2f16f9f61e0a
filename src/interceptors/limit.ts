import type { Call, NamespaceScope } from "../core/call.ts";
import { AppError } from "../core/errors.ts";
import type { Interceptor } from "../core/exchange.ts";
import { GATEWAY_SCOPE } from "../core/principal.ts";
import type { NamespaceDirectory } from "../services/tenancy/index.ts";
import type { RateDecision, RateLimiter } from "./rate-limiter.ts";

/**
 * Holds callers to the namespace's `rateLimitPerMinute`. A call that acts in no namespace counts
 * against the one its credential belongs to. A stream counts once, when it begins.
 * Requests without a limit are only counted.
 */
export function limit(limiter: RateLimiter, directory: NamespaceDirectory): Interceptor {
  return (exchange, next) => {
    const { call } = exchange;
    const namespace = call.namespace ?? homeOf(call, directory);
    if (namespace instanceof Promise) {
      return namespace.then(async (found) => {
        if (found) await apply(limiter, found, call);
        return next();
      });
    }
    const decision = namespace && apply(limiter, namespace, call);
    return decision ? decision.then(next) : next();
  };
}

function homeOf(
  { principal }: Call,
  directory: NamespaceDirectory,
): NamespaceScope | undefined | Promise<NamespaceScope | undefined> {
  if (principal.home === GATEWAY_SCOPE || principal.home === "") return undefined;
  return directory.peek(principal.home) ?? directory.get(principal.home);
}

function apply(limiter: RateLimiter, namespace: NamespaceScope, call: Call): Promise<void> | undefined {
  const { rateLimitPerMinute } = namespace.quotas;
  if (rateLimitPerMinute === undefined) {
    limiter.count(namespace.name);
    return undefined;
  }
  const decision = limiter.take(namespace.name, rateLimitPerMinute);
  if (decision instanceof Promise) return decision.then((decided) => settle(decided, namespace.name, call));
  settle(decision, namespace.name, call);
  return undefined;
}

function settle(decision: RateDecision, namespace: string, call: Call): void {
  call.rateLimit = decision.state;
  if (decision.isAllowed) return;
  const { limit: perMinute, resetSeconds } = decision.state;
  throw new AppError(
    "RESOURCE_EXHAUSTED",
    "RATE_LIMITED",
    `Namespace "${namespace}" has used its ${perMinute} requests per minute. Try again in ${resetSeconds} s, or have rateLimitPerMinute raised.`,
    {
      retryAfterMs: decision.retryAfterMs,
      details: {
        quota: { subject: `namespaces/${namespace}`, description: `rateLimitPerMinute: ${perMinute}` },
      },
    },
  );
}
