import type { z } from "zod";
import { address, choice, host, onOff, origins, path, port, ratio, webAddress, wholeNumber } from "./fields.ts";

/** One environment variable: what it is for, what it may hold, and what it is when it is not set. */
export interface Variable<Value = unknown> {
  /** The heading it stands under in docs/configuration.md. */
  readonly section: string;
  readonly description: string;
  readonly schema: z.ZodType<Value, string>;
  /** As it would be written in the environment. */
  readonly fallback?: string;
}

type Required<Value> = Variable<Value> & { readonly fallback: string };

function section(name: string) {
  return {
    /** A variable that has a value also when it is not set. */
    required: <Value>(fallback: string, schema: z.ZodType<Value, string>, description: string): Required<Value> => ({
      section: name,
      description,
      schema,
      fallback,
    }),
    optional: <Value>(schema: z.ZodType<Value, string>, description: string): Variable<Value> => ({
      section: name,
      description,
      schema,
    }),
  };
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const MEBIBYTE = 1_048_576;
/** Long polls wait up to 30 s, so a request must be allowed to take longer. */
const SHORTEST_REQUEST_TIMEOUT_MS = 31_000;

const listening = section("Listening");
const storage = section("Storage");
const access = section("Access");
const tls = section("TLS");
const limits = section("Limits and times");
const retention = section("Retention");
const telemetry = section("Logs, metrics and traces");
const pages = section("Pages and discovery");

/** Every variable the gateway knows. docs/configuration.md is written from this table. */
export const VARIABLES = {
  TARL_HOST: listening.required(
    "127.0.0.1",
    host(),
    "The address all three protocols listen on. `0.0.0.0` or `::` makes the gateway reachable from other machines.",
  ),
  TARL_REST_PORT: listening.required(
    "8080",
    port(),
    "The port for REST, `/metrics` and the probes. 0 takes any free port.",
  ),
  TARL_GRAPHQL_PORT: listening.required("4000", port(), "The port for GraphQL and GraphiQL. 0 takes any free port."),
  TARL_GRPC_PORT: listening.required("50051", port(), "The port for gRPC. 0 takes any free port."),

  TARL_DATA_DIR: storage.required(
    "./data",
    path(),
    "The folder for the embedded database and the admin key. Only one gateway can use it at a time.",
  ),
  TARL_FEATURES_DIR: storage.optional(
    path(),
    "The folder for the history of features, as Parquet files. Gateways that share a database share this folder too. Not set: `features` in `TARL_DATA_DIR`.",
  ),
  TARL_DATABASE_URL: storage.optional(
    address(["postgres", "postgresql"], "postgres://user:password@host:5432/database"),
    "A Postgres server, for several gateways that share one state. Without it the embedded database in `TARL_DATA_DIR` serves.",
  ),
  TARL_DATABASE_MAX_CONNECTIONS: storage.required(
    "20",
    wholeNumber(2, 1000),
    "How many connections one gateway opens to the Postgres server at most.",
  ),
  TARL_REDIS_URL: storage.optional(
    address(
      ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"],
      "redis://host:6379/0, rediss://host:6379/0, redis+sentinel://host:26379,host:26379/masterName or redis+cluster://host:6379,host:6379",
    ),
    "A Redis, its Sentinels (`redis+sentinel://host:26379,host:26379/masterName`) or a Cluster (`redis+cluster://host:6379,host:6379`); `rediss` instead of `redis` means TLS. Without it the database does Redis's work.",
  ),

  TARL_ADMIN_KEY_FILE: access.optional(
    path(),
    "Where the admin key that is made on the first start is written, readable by its owner alone. Not set: `admin.key` in `TARL_DATA_DIR`.",
  ),
  TARL_OIDC_ISSUER: access.optional(
    webAddress("https://accounts.example.com"),
    "Accept JWTs of this issuer besides API keys. Needs the other two `TARL_OIDC_…` variables.",
  ),
  TARL_OIDC_AUDIENCE: access.optional(path(), "The audience a JWT must name."),
  TARL_OIDC_JWKS_URL: access.optional(
    webAddress("https://accounts.example.com/.well-known/jwks.json"),
    "Where the issuer publishes the keys that sign its JWTs.",
  ),
  TARL_OIDC_GROUPS_CLAIM: access.required(
    "groups",
    path(),
    "The claim of a JWT that names the subject's groups, which roles can be bound to.",
  ),

  TARL_CORS_ORIGINS: access.optional(
    origins(),
    "The origins whose pages may call the gateway from a browser, separated by commas. Not set: none.",
  ),

  TARL_TLS_CERT_FILE: tls.optional(
    path(),
    "A PEM file with the certificate chain. With it, all three protocols speak TLS. Needs `TARL_TLS_KEY_FILE`.",
  ),
  TARL_TLS_KEY_FILE: tls.optional(path(), "A PEM file with the certificate's private key."),
  TARL_TLS_CLIENT_CA_FILE: tls.optional(
    path(),
    "A PEM file with the authorities that sign clients' certificates. With it, every client must show one (mutual TLS).",
  ),

  TARL_MAX_PAYLOAD_BYTES: limits.required(
    "262144",
    wholeNumber(1024, 64 * MEBIBYTE),
    "The largest JSON payload or result of one task, in bytes.",
  ),
  TARL_MAX_QUERY_MEMORY_MB: limits.required(
    "1024",
    wholeNumber(128, 1_048_576),
    "How much memory queries of the feature history may take, in units of 2^20 bytes; what does not fit is spilled to the disk.",
  ),
  TARL_MAX_REQUEST_BYTES: limits.required(
    "4194304",
    wholeNumber(65_536, 256 * MEBIBYTE),
    "The largest request on any protocol, in bytes. At least `TARL_MAX_PAYLOAD_BYTES`.",
  ),
  TARL_REQUEST_TIMEOUT_MS: limits.required(
    "60000",
    wholeNumber(SHORTEST_REQUEST_TIMEOUT_MS, 60 * MINUTE_MS),
    "How long a request may take where the client names no deadline, in milliseconds. Longer than the longest poll, which is 30 s.",
  ),
  TARL_SHUTDOWN_TIMEOUT_MS: limits.required(
    "25000",
    wholeNumber(0, 60 * MINUTE_MS),
    "How long requests under way may still take after SIGTERM, in milliseconds. Kubernetes waits 30 s by default before it kills.",
  ),

  TARL_TASK_RETENTION_MS: retention.required(
    String(7 * DAY_MS),
    wholeNumber(MINUTE_MS, 3650 * DAY_MS),
    "How long finished tasks are kept, in milliseconds.",
  ),
  TARL_EVENT_RETENTION_MS: retention.required(
    String(DAY_MS),
    wholeNumber(MINUTE_MS, 365 * DAY_MS),
    "How long change events are kept for watchers that resume, in milliseconds.",
  ),

  TARL_LOG_LEVEL: telemetry.required(
    "info",
    choice("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    "What is logged, as one JSON object a line on standard output. `debug` adds a line for each request.",
  ),
  TARL_OTLP_ENDPOINT: telemetry.optional(
    webAddress("http://collector:4318"),
    "An OpenTelemetry collector that takes OTLP over HTTP; `/v1/traces` is added where the address has no path. Not set: nothing is traced, at no cost.",
  ),
  TARL_TRACE_SAMPLE_RATIO: telemetry.required(
    "1",
    ratio(),
    "The share of requests to trace where the caller has not decided it by its `traceparent`.",
  ),
  TARL_METRICS_PUBLIC: telemetry.required(
    "auto",
    choice("on", "off", "auto"),
    "Whether `/metrics` is open to everybody. `off`: it needs a key with the permission `system.read`. `auto`: open only while `TARL_HOST` is a loopback address.",
  ),

  TARL_DOCS: pages.required("on", onOff(), "Whether the docs page for REST and GraphiQL are served (`on` or `off`)."),
  TARL_GRAPHQL_INTROSPECTION: pages.required(
    "auto",
    choice("on", "off", "auto"),
    "Who may ask GraphQL for its schema: `on` everybody, `off` nobody. `auto`: everybody while `TARL_HOST` is a loopback address, else callers with the permission `system.read`.",
  ),
  TARL_GRPC_REFLECTION: pages.required(
    "on",
    onOff(),
    "Whether gRPC tells clients such as grpcurl what it offers (`on` or `off`).",
  ),
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof VARIABLES;

/** What each variable holds once read: variables without a fallback may be undefined. */
export type VariableValues = {
  readonly [Name in VariableName]: (typeof VARIABLES)[Name] extends Required<infer Value>
    ? Value
    : (typeof VARIABLES)[Name] extends Variable<infer Value>
      ? Value | undefined
      : never;
};
