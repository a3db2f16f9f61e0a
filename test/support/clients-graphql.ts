import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  buildSchema,
  type GraphQLField,
  type GraphQLOutputType,
  type GraphQLUnionType,
  getNamedType,
  isObjectType,
  isUnionType,
} from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { splitGraphqlName } from "../../src/contract/names.ts";
import { edges } from "../../src/operations.ts";
import { createHttpAgent, openHttp, readEvents, sendHttp } from "./clients-http.ts";
import { createMailbox, feed } from "./clients-mailbox.ts";
import {
  type CallOptions,
  type Failure,
  type Input,
  type Outcome,
  type ProtocolClient,
  routedOperation,
  type StreamItem,
  type StreamReader,
} from "./clients-model.ts";

const SDL = join(import.meta.dirname, "../../schema/schema.graphql");

export interface GraphqlRequest {
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

/** What a GraphQL answer says, whatever it came over. */
interface Result {
  readonly data?: Record<string, Record<string, unknown> | null> | null;
  readonly errors?: readonly {
    message: string;
    // biome-ignore lint/suspicious/noExplicitAny: JSON from outside, compared field by field by the tests.
    extensions: any;
  }[];
}

export interface GraphqlClient extends ProtocolClient {
  /** Runs a query of the test's own. */
  query(request: GraphqlRequest, options?: CallOptions): Promise<Result>;
  /** Subscribes over server-sent events with a query of the test's own; messages hold the whole `data`. */
  subscribe(request: GraphqlRequest, options?: CallOptions): StreamReader;
}

export function createGraphqlClient(url: string): GraphqlClient {
  const agent = createHttpAgent();
  const { pathname } = new URL(url);
  const write = createQueryWriter();
  const requestOf = (accept: string, body: GraphqlRequest, options: CallOptions) => ({
    method: "POST",
    path: pathname,
    headers: {
      accept,
      "content-type": "application/json",
      ...(options.authorization !== undefined && { authorization: options.authorization }),
      ...(options.idempotencyKey !== undefined && { "idempotency-key": options.idempotencyKey }),
      ...(options.timeoutMs !== undefined && { "x-request-timeout-ms": String(options.timeoutMs) }),
    },
    body: JSON.stringify(body),
  });

  async function query(body: GraphqlRequest, options: CallOptions = {}): Promise<Result> {
    const { status, headers, text } = await sendHttp(url, agent, requestOf("application/json", body, options));
    const result = JSON.parse(text) as Result;
    const retryAfterMs = result.errors?.[0]?.extensions.retryAfterMs;
    const seconds = retryAfterMs === undefined ? undefined : String(Math.ceil(retryAfterMs / 1000));
    if (headers["retry-after"] !== seconds) {
      throw new Error(`Retry-After is ${headers["retry-after"]}, but retryAfterMs ${retryAfterMs}.`);
    }
    // A body over the limit is refused before it is a GraphQL request.
    if (status !== 200 && status !== 413) throw new Error(`GraphQL answered ${status}: ${text.slice(0, 500)}`);
    return result;
  }

  function openEvents(body: GraphqlRequest, options: CallOptions, read: (result: Result) => StreamItem): StreamReader {
    const opened = openHttp(url, agent, requestOf("text/event-stream", body, options));
    const mailbox = createMailbox(`${body.query} over server-sent events`, opened.abort);
    const items = async function* (): AsyncGenerator<StreamItem> {
      for await (const { event, data } of readEvents(await opened.answer)) {
        yield event === "complete" ? { kind: "end" } : read(JSON.parse(data));
      }
    };
    feed(mailbox, items());
    return mailbox;
  }

  return {
    protocol: "graphql",
    query,
    subscribe: (request, options = {}) =>
      openEvents(request, options, (result) => {
        if (result.errors) return { kind: "failure", failure: failureOf(result.errors[0]!) };
        return { kind: "message", output: result.data! };
      }),
    async call(operation, input, options = {}) {
      const request = write(operation, input);
      return outcomeOf(await query(request, options), fieldOf(operation));
    },
    streams: {
      "graphql-sse": (operation, input, options = {}) =>
        openEvents(write(operation, input), options, (result) => itemOf(result, fieldOf(operation))),
      "graphql-ws"(operation, input, { authorization } = {}) {
        const client = createClient({
          url: url.replace("http", "ws"),
          webSocketImpl: WebSocket,
          retryAttempts: 0,
          ...(authorization !== undefined && { connectionParams: { authorization } }),
        });
        const mailbox = createMailbox(`${operation} over graphql-ws`, () => void client.dispose());
        client.subscribe<Record<string, unknown>>(write(operation, input) as GraphqlRequest, {
          next: (result) => mailbox.push(itemOf(result as Result, fieldOf(operation))),
          error: (error) =>
            Array.isArray(error) ? mailbox.push(itemOf({ errors: error }, fieldOf(operation))) : mailbox.fail(error),
          complete: () => mailbox.push({ kind: "end" }),
        });
        return mailbox;
      },
    },
    close: () => agent.destroy(),
  };
}

function fieldOf(operation: string): string {
  return splitGraphqlName(routedOperation(operation).graphql).field;
}

function outcomeOf({ data, errors }: Result, field: string): Outcome {
  if (errors) {
    if (data?.[field]) throw new Error("An answer holds an error and its data.");
    return failureOf(errors[0]!);
  }
  return { ok: true, output: withoutAliases(data![field]!) as Input };
}

const ALIAS = /^([a-z][A-Za-z0-9]*)__[A-Z][A-Za-z0-9]*$/;

/** Gives fields of union members back the names they were asked for under. */
function withoutAliases(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAliases);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [ALIAS.exec(key)?.[1] ?? key, withoutAliases(part)]),
  );
}

function itemOf(result: Result, field: string): StreamItem {
  const outcome = outcomeOf(result, field);
  return outcome.ok ? { kind: "message", output: outcome.output } : { kind: "failure", failure: outcome };
}

function failureOf({ message, extensions }: NonNullable<Result["errors"]>[number]): Failure {
  const { code, reason, details = {}, retryAfterMs } = extensions;
  const { errors, quota, metadata } = details;
  return {
    ok: false,
    code,
    reason,
    message,
    details: { ...(errors && { fields: errors }), ...(quota && { quota }), ...(metadata && { metadata }) },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** Writes, for an operation, the query that asks for everything it answers with, relations aside. */
export function createQueryWriter(): (operation: string, input: Input) => GraphqlRequest {
  const schema = buildSchema(readFileSync(SDL, "utf8"));
  const relations = new Set(edges.map(({ type, field }) => `${type}.${field}`));
  const known = new Map<string, string>();

  function selectionOf(output: GraphQLOutputType, conflicts: ReadonlySet<string> = new Set()): string {
    const type = getNamedType(output);
    if (isUnionType(type)) {
      const conflicts = conflictsOf(type);
      return ` { ${type
        .getTypes()
        .map((member) => `... on ${member.name}${selectionOf(member, conflicts)}`)
        .join(" ")} }`;
    }
    if (!isObjectType(type)) return "";
    const fields = Object.values(type.getFields()).filter(({ name }) => !relations.has(`${type.name}.${name}`));
    const asked = (name: string) => (conflicts.has(name) ? `${name}__${type.name}: ${name}` : name);
    return ` { ${fields.map(({ name, type: inner }) => asked(name) + selectionOf(inner)).join(" ")} }`;
  }

  /** Fields that members of a union have with different types: GraphQL wants another alias for each. */
  function conflictsOf(union: GraphQLUnionType): ReadonlySet<string> {
    const fields = union.getTypes().flatMap((member) => Object.values(member.getFields()));
    const typesOf = Map.groupBy(fields, ({ name }) => name);
    const isConflict = (same: typeof fields) => new Set(same.map(({ type }) => String(type))).size > 1;
    return new Set([...typesOf].filter(([, same]) => isConflict(same)).map(([name]) => name));
  }

  function textOf(operation: string): string {
    const { root, field: name } = splitGraphqlName(routedOperation(operation).graphql);
    const rootType = {
      query: schema.getQueryType(),
      mutation: schema.getMutationType(),
      subscription: schema.getSubscriptionType(),
    }[root]!;
    const field = rootType!.getFields()[name] as GraphQLField<unknown, unknown>;
    const variables = field.args.map((arg) => `$${arg.name}: ${arg.type}`).join(", ");
    const args = field.args.map((arg) => `${arg.name}: $${arg.name}`).join(", ");
    const inBrackets = (text: string) => (text === "" ? "" : `(${text})`);
    return `${root}${inBrackets(variables)} { ${name}${inBrackets(args)}${selectionOf(field.type)} }`;
  }

  return (operation, input) => {
    let query = known.get(operation);
    if (query === undefined) {
      query = textOf(operation);
      known.set(operation, query);
    }
    return { query, variables: query.startsWith("mutation") ? { input } : input };
  };
}
