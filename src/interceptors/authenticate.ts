import type { Interceptor } from "../core/exchange.ts";
import type { Authenticator } from "../services/tenancy/index.ts";

/** Finds out who calls. A known credential costs no promise and no query. */
export function authenticate(authenticator: Authenticator): Interceptor {
  return (exchange, next) => {
    const { call } = exchange;
    const known = authenticator.peek(call.incoming.authorization);
    if (known) {
      call.principal = known;
      return next();
    }
    return authenticator.authenticate(call.incoming.authorization).then((principal) => {
      call.principal = principal;
      return next();
    });
  };
}
