import { accessSync, constants } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { maskSecrets } from "./mask-secrets.ts";
import { type Environment, readVariables, textOf, VARIABLE_NAMES } from "./read-variables.ts";
import { VARIABLES, type VariableValues } from "./variables.ts";

export type LogLevel = VariableValues["TARL_LOG_LEVEL"];

export interface OidcConfig {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
  readonly groupsClaim: string;
}

export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Set where every client must show a certificate. */
  readonly clientCaFile: string | undefined;
}

/** Everything that can be set from outside, checked. Paths are absolute. */
export interface Config {
  readonly host: string;
  readonly restPort: number;
  readonly graphqlPort: number;
  readonly grpcPort: number;
  readonly dataDir: string;
  /** Undefined means the embedded database in `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly databaseMaxConnections: number;
  /** Undefined means that Postgres does Redis's work. */
  readonly redisUrl: string | undefined;
  readonly adminKeyFile: string;
  readonly featuresDir: string;
  readonly maxQueryMemoryMb: number;
  readonly oidc: OidcConfig | undefined;
  /** Whose pages may call from a browser. */
  readonly corsOrigins: readonly string[];
  readonly tls: TlsConfig | undefined;
  readonly maxPayloadBytes: number;
  readonly maxRequestBytes: number;
  readonly requestTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly taskRetentionMs: number;
  readonly eventRetentionMs: number;
  readonly logLevel: LogLevel;
  /** Undefined means that nothing is traced. */
  readonly otlpEndpoint: string | undefined;
  readonly traceSampleRatio: number;
  /** Whether /metrics needs no key. */
  readonly metricsPublic: boolean;
  readonly docs: boolean;
  /** `permitted`: for callers with the permission system.read. */
  readonly graphqlIntrospection: "on" | "off" | "permitted";
  readonly grpcReflection: boolean;
}

/** The environment cannot be used; the message names every problem, one a line. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration cannot be used:\n${problems.map((problem) => `  - ${problem}`).join("\n")}\n` +
        "docs/configuration.md describes every variable.",
    );
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Reads the environment once. Throws a ConfigError that names everything wrong with it. */
export function loadConfig(environment: Environment = process.env): Config {
  const { values, problems } = readVariables(environment);
  // Rules between variables would only repeat what is wrong with one of them.
  const all = problems.length > 0 ? problems : crossFieldProblems(values);
  if (all.length > 0) throw new ConfigError(all);
  return Object.freeze(toConfig(values));
}

/** Every variable and its value as one block of text, secrets masked, for `--print-config`. */
export function printConfig(environment: Environment = process.env): string {
  loadConfig(environment);
  return VARIABLE_NAMES.map((name) => {
    const given = textOf(environment, name);
    if (given !== undefined) return `${name}=${maskSecrets(given)}`;
    const { fallback } = VARIABLES[name] as { fallback?: string };
    return fallback === undefined ? `# ${name} is not set` : `${name}=${fallback} # default`;
  }).join("\n");
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function toConfig(values: VariableValues): Config {
  const dataDir = resolve(values.TARL_DATA_DIR);
  const local = isLoopback(values.TARL_HOST);
  const introspection = values.TARL_GRAPHQL_INTROSPECTION;
  return {
    host: values.TARL_HOST,
    restPort: values.TARL_REST_PORT,
    graphqlPort: values.TARL_GRAPHQL_PORT,
    grpcPort: values.TARL_GRPC_PORT,
    dataDir,
    databaseUrl: values.TARL_DATABASE_URL,
    databaseMaxConnections: values.TARL_DATABASE_MAX_CONNECTIONS,
    redisUrl: values.TARL_REDIS_URL,
    adminKeyFile: resolve(values.TARL_ADMIN_KEY_FILE ?? join(dataDir, "admin.key")),
    oidc: toOidc(values),
    corsOrigins: Object.freeze(values.TARL_CORS_ORIGINS ?? []),
    tls: toTls(values),
    featuresDir: resolve(values.TARL_FEATURES_DIR ?? join(dataDir, "features")),
    maxQueryMemoryMb: values.TARL_MAX_QUERY_MEMORY_MB,
    maxPayloadBytes: values.TARL_MAX_PAYLOAD_BYTES,
    maxRequestBytes: values.TARL_MAX_REQUEST_BYTES,
    requestTimeoutMs: values.TARL_REQUEST_TIMEOUT_MS,
    shutdownTimeoutMs: values.TARL_SHUTDOWN_TIMEOUT_MS,
    taskRetentionMs: values.TARL_TASK_RETENTION_MS,
    eventRetentionMs: values.TARL_EVENT_RETENTION_MS,
    logLevel: values.TARL_LOG_LEVEL,
    otlpEndpoint: values.TARL_OTLP_ENDPOINT,
    traceSampleRatio: values.TARL_TRACE_SAMPLE_RATIO,
    metricsPublic: values.TARL_METRICS_PUBLIC === "auto" ? local : values.TARL_METRICS_PUBLIC === "on",
    docs: values.TARL_DOCS,
    graphqlIntrospection: introspection === "auto" ? (local ? "on" : "permitted") : introspection,
    grpcReflection: values.TARL_GRPC_REFLECTION,
  };
}

function toOidc(values: VariableValues): OidcConfig | undefined {
  const { TARL_OIDC_ISSUER: issuer, TARL_OIDC_AUDIENCE: audience, TARL_OIDC_JWKS_URL: jwksUrl } = values;
  if (issuer === undefined || audience === undefined || jwksUrl === undefined) return undefined;
  return Object.freeze({ issuer, audience, jwksUrl, groupsClaim: values.TARL_OIDC_GROUPS_CLAIM });
}

function toTls(values: VariableValues): TlsConfig | undefined {
  const { TARL_TLS_CERT_FILE: cert, TARL_TLS_KEY_FILE: key, TARL_TLS_CLIENT_CA_FILE: ca } = values;
  if (cert === undefined || key === undefined) return undefined;
  return Object.freeze({
    certFile: resolve(cert),
    keyFile: resolve(key),
    clientCaFile: ca === undefined ? undefined : resolve(ca),
  });
}

/** What is wrong with variables that are each fine by themselves. */
function crossFieldProblems(values: VariableValues): string[] {
  return [
    ...togetherOrNotAtAll(values, ["TARL_OIDC_ISSUER", "TARL_OIDC_AUDIENCE", "TARL_OIDC_JWKS_URL"]),
    ...togetherOrNotAtAll(values, ["TARL_TLS_CERT_FILE", "TARL_TLS_KEY_FILE"]),
    ...(values.TARL_TLS_CLIENT_CA_FILE !== undefined && values.TARL_TLS_CERT_FILE === undefined
      ? ["TARL_TLS_CLIENT_CA_FILE also needs TARL_TLS_CERT_FILE and TARL_TLS_KEY_FILE."]
      : []),
    ...unreadableFiles(values),
    ...(values.TARL_MAX_PAYLOAD_BYTES > values.TARL_MAX_REQUEST_BYTES
      ? ["TARL_MAX_PAYLOAD_BYTES must not be greater than TARL_MAX_REQUEST_BYTES: a payload travels in a request."]
      : []),
    ...sharedPorts(values),
  ];
}

function togetherOrNotAtAll(values: VariableValues, names: readonly (keyof VariableValues)[]): string[] {
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length === 0 || missing.length === names.length) return [];
  return [
    `${names.join(", ")} belong together: ${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} not set.`,
  ];
}

function unreadableFiles(values: VariableValues): string[] {
  return (["TARL_TLS_CERT_FILE", "TARL_TLS_KEY_FILE", "TARL_TLS_CLIENT_CA_FILE"] as const).flatMap((name) => {
    const file = values[name];
    if (file === undefined) return [];
    try {
      accessSync(file, constants.R_OK);
      return [];
    } catch {
      return [`${name} names ${resolve(file)}, which is not there or cannot be read.`];
    }
  });
}

function sharedPorts(values: VariableValues): string[] {
  const names = ["TARL_REST_PORT", "TARL_GRAPHQL_PORT", "TARL_GRPC_PORT"] as const;
  return names.flatMap((name, index) => {
    const other = names.slice(0, index).find((earlier) => values[name] !== 0 && values[earlier] === values[name]);
    return other === undefined
      ? []
      : [`${name} and ${other} are both ${values[name]}; each protocol needs its own port.`];
  });
}
