import DataLoader from "dataloader";
import type { GraphQLFieldResolver } from "graphql";
import type { Call } from "../../core/call.ts";
import type { AnyEdge } from "../../core/edge.ts";
import { AppError, toAppError } from "../../core/errors.ts";
import { callAbove, type GraphqlContext } from "./context.ts";
import { toGraphqlError } from "./errors.ts";
import type { ReadInput } from "./inputs.ts";

/** Beyond this the batch is split, so that no statement grows without bound. */
const MAX_PARENTS_PER_BATCH = 1_000;

/** Whether the caller of `call` may do `permission` in the namespace of a relation's parent. */
export type MayRead = (call: Call, permission: string, namespace: string) => boolean;

/**
 * Resolves a relation for all parents of a request at once. There is one loader for each edge and
 * set of arguments; nothing is cached beyond a batch, because a subscription may last for days.
 */
export function createRelationResolver(
  edge: AnyEdge,
  services: unknown,
  readInput: ReadInput,
  mayRead: MayRead,
  onUnexpected: (error: AppError, call: Call) => void,
): GraphQLFieldResolver<{ readonly namespace?: string }, GraphqlContext> {
  const name = `${edge.type}.${edge.field}`;

  function loaderFor(context: GraphqlContext, args: Record<string, unknown>, call: Call): DataLoader<object, unknown> {
    const key = `${name} ${JSON.stringify(args)}`;
    let loader = context.loaders.get(key);
    if (!loader) {
      const input = readInput(args);
      loader = new DataLoader<object, unknown>(
        async (parents) => [...(await edge.load(services, parents, input, call))] as ArrayLike<unknown>,
        { cache: false, maxBatchSize: MAX_PARENTS_PER_BATCH },
      );
      context.loaders.set(key, loader);
    }
    return loader;
  }

  return async (parent, args, context, info) => {
    const call = callAbove(context, info);
    if (!mayRead(call, edge.permission, parent.namespace ?? "")) {
      throw toGraphqlError(relationDenied(name, edge.permission, parent.namespace), call.requestId);
    }
    try {
      return await loaderFor(context, args, call).load(parent);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === "INTERNAL") onUnexpected(error, call);
      throw toGraphqlError(error, call.requestId);
    }
  };
}

function relationDenied(name: string, permission: string, namespace: string | undefined): AppError {
  return new AppError(
    "PERMISSION_DENIED",
    "PERMISSION_DENIED",
    `Your credential may not read ${name}: it needs the permission "${permission}"` +
      `${namespace ? ` in the namespace "${namespace}"` : ""}. Leave the field out, or ask an administrator for it.`,
    { details: { metadata: { permission, ...(namespace && { namespace }) } } },
  );
}
