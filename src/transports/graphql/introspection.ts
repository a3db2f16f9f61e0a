import { AppError, toAppError } from "../../core/errors.ts";
import type { GraphqlTransportOptions } from "./options.ts";

/** Says why the caller may not ask for the schema, or nothing where it may. */
export type IntrospectionGuard = (authorization: string | undefined) => Promise<AppError | undefined>;

export function createIntrospectionGuard({
  introspection,
  authenticate,
}: Pick<GraphqlTransportOptions, "introspection" | "authenticate">): IntrospectionGuard {
  return async (authorization) => {
    if (introspection === "public") return undefined;
    if (introspection === "off") {
      return new AppError(
        "PERMISSION_DENIED",
        "INTROSPECTION_OFF",
        "This gateway does not tell its schema. Read schema/schema.graphql in its repository instead.",
      );
    }
    try {
      const principal = await authenticate(authorization);
      if (principal.kind !== "ANONYMOUS") return undefined;
    } catch (error) {
      return toAppError(error);
    }
    return new AppError(
      "UNAUTHENTICATED",
      "CREDENTIAL_REQUIRED",
      'The schema is told to callers with a credential. Send "Authorization: Bearer <key>".',
    );
  };
}
