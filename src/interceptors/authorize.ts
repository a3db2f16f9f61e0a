import type { NamespaceScope } from "../core/call.ts";
import { invalidArgument, notFound } from "../core/errors.ts";
import type { Exchange, Interceptor } from "../core/exchange.ts";
import { isNamespaced } from "../core/operation.ts";
import { namespaceField } from "../core/schema.ts";
import { canSeeNamespace, isAllowed, type NamespaceDirectory, permissionDenied } from "../services/tenancy/index.ts";
import { parseInput } from "./violations.ts";

/** Lets a call pass where its principal holds the operation's permission, and resolves the namespace it acts in. */
export function authorize(directory: NamespaceDirectory): Interceptor {
  return (exchange, next) => {
    const { operation } = exchange;
    if (!isNamespaced(operation)) {
      checkPermission(exchange, undefined);
      return next();
    }
    const name = namespaceOf(exchange.input);
    const known = name === undefined ? undefined : directory.peek(name);
    if (known) {
      admit(exchange, known.name, known);
      return next();
    }
    const valid = checkName(exchange, name);
    return directory.get(valid).then((namespace) => {
      admit(exchange, valid, namespace);
      return next();
    });
  };
}

/** Checks once more, with what is known of the principal now; for calls that go on for long. */
export async function reauthorize(exchange: Exchange, directory: NamespaceDirectory): Promise<void> {
  const name = exchange.call.namespace?.name;
  if (name === undefined) checkPermission(exchange, undefined);
  else admit(exchange, name, await directory.get(name));
}

/** The namespace a raw input names, if it names one at all. */
export function namespaceOf(input: unknown): string | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  const { namespace } = input as { namespace?: unknown };
  return typeof namespace === "string" ? namespace : undefined;
}

function admit(exchange: Exchange, name: string, namespace: NamespaceScope | undefined): void {
  const { call } = exchange;
  // The same answer for what is not there and for what the caller may not know of.
  if (namespace === undefined || !canSeeNamespace(call.principal, namespace)) throw notFound("namespace", name);
  call.namespace = namespace;
  checkPermission(exchange, namespace);
}

function checkPermission({ operation, call }: Exchange, namespace: NamespaceScope | undefined): void {
  const { permission } = operation;
  if (permission === "" || isAllowed(call.principal, permission, namespace)) return;
  throw permissionDenied(permission, namespace?.name);
}

/** A namespace that cannot exist is a mistake in the request, told along with all others in it. */
function checkName({ operation, input }: Exchange, name: string | undefined): string {
  if (name !== undefined && namespaceField.safeParse(name).success) return name;
  parseInput(operation, input);
  const message = operation.kind === "bidi" ? "must be named by the first message" : "is required";
  throw invalidArgument([{ field: "namespace", message }]);
}
