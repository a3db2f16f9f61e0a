import type { Interceptor } from "../core/exchange.ts";
import { parseInput } from "./violations.ts";

/** Replaces the input by what its schema makes of it, or refuses it naming every wrong field. */
export function validate(): Interceptor {
  return (exchange, next) => {
    exchange.input = parseInput(exchange.operation, exchange.input);
    return next();
  };
}
