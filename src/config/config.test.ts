import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig, printConfig } from "./config.ts";
import type { Environment } from "./read-variables.ts";

/** The problems that are found in `environment`. */
function problemsOf(environment: Environment): readonly string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const thisFile = import.meta.filename;

test("an empty environment gives the defaults, frozen", () => {
  const config = loadConfig({});
  expect(config).toMatchObject({
    host: "127.0.0.1",
    restPort: 8080,
    graphqlPort: 4000,
    grpcPort: 50_051,
    dataDir: resolve("data"),
    adminKeyFile: resolve("data/admin.key"),
    maxPayloadBytes: 256 * 1024,
    metricsPublic: true,
    graphqlIntrospection: "on",
    grpcReflection: true,
  });
  expect(config.databaseUrl ?? config.redisUrl ?? config.tls ?? config.oidc).toBeUndefined();
  expect(Object.isFrozen(config)).toBe(true);
});

test("a variable that is set to nothing counts as not set", () => {
  expect(loadConfig({ TARL_DATABASE_URL: "", TARL_REDIS_URL: "  ", TARL_REST_PORT: "" })).toEqual(loadConfig({}));
});

test("a host that others can reach closes what is open on loopback", () => {
  const reachable = { TARL_HOST: "0.0.0.0" };
  expect(loadConfig(reachable)).toMatchObject({ metricsPublic: false, graphqlIntrospection: "permitted" });
  expect(loadConfig({ ...reachable, TARL_METRICS_PUBLIC: "on" }).metricsPublic).toBe(true);
  expect(loadConfig({ TARL_HOST: "::1" }).metricsPublic).toBe(true);
});

test("groups what belongs together", () => {
  const config = loadConfig({
    TARL_DATA_DIR: "/var/lib/tarl",
    TARL_TLS_CERT_FILE: thisFile,
    TARL_TLS_KEY_FILE: thisFile,
    TARL_OIDC_ISSUER: "https://id.example",
    TARL_OIDC_AUDIENCE: "tarl",
    TARL_OIDC_JWKS_URL: "https://id.example/keys",
  });
  expect(config.adminKeyFile).toBe(join("/var/lib/tarl", "admin.key"));
  expect(config.tls).toEqual({ certFile: thisFile, keyFile: thisFile, clientCaFile: undefined });
  expect(config.oidc).toEqual({
    issuer: "https://id.example",
    audience: "tarl",
    jwksUrl: "https://id.example/keys",
    groupsClaim: "groups",
  });
});

test("reads a list of origins", () => {
  const list = "https://app.example, http://localhost:3000";
  expect(loadConfig({ TARL_CORS_ORIGINS: list }).corsOrigins).toEqual(["https://app.example", "http://localhost:3000"]);
  expect(problemsOf({ TARL_CORS_ORIGINS: "https://app.example/path" })).toHaveLength(1);
});

test("names every problem at once", () => {
  expect(
    problemsOf({ TARL_REST_PORT: "http", TARL_GRPC_PORT: "70000", TARL_LOG_LEVEL: "loud", TARL_RESTPORT: "1" }),
  ).toEqual([
    "TARL_RESTPORT is not a variable of the gateway. Did you mean TARL_REST_PORT?",
    "TARL_REST_PORT must be a whole number from 0 to 65535.",
    "TARL_GRPC_PORT must be a whole number from 0 to 65535.",
    "TARL_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent.",
  ]);
});

describe("unknown names", () => {
  test.each([
    ["TARL_DATABASE", "TARL_DATABASE_URL"],
    ["TARL_LOGLEVEL", "TARL_LOG_LEVEL"],
    ["TARL_GRAPH_QL_PORT", "TARL_GRAPHQL_PORT"],
  ])("%s: did you mean %s?", (name, meant) => {
    expect(problemsOf({ [name]: "x" })).toEqual([`${name} is not a variable of the gateway. Did you mean ${meant}?`]);
  });

  test("that are like nothing get no suggestion", () => {
    expect(problemsOf({ TARL_COLOUR_OF_THE_SKY: "blue" })).toEqual([
      "TARL_COLOUR_OF_THE_SKY is not a variable of the gateway.",
    ]);
  });

  test("of tests and benchmarks, and what Kubernetes says of a service, are let be", () => {
    const environment = {
      TARL_TEST_REDIS_URL: "redis://x",
      TARL_BENCH_SECONDS: "3",
      TARL_GATEWAY_PORT: "tcp://10.0.0.1:8080",
      TARL_GATEWAY_PORT_8080_TCP_ADDR: "10.0.0.1",
      TARL_GATEWAY_SERVICE_HOST: "10.0.0.1",
      TARL_GATEWAY_SERVICE_PORT_GRPC: "50051",
    };
    expect(problemsOf(environment)).toEqual([]);
    expect(problemsOf({ TARL_GATEWAY_PORT: "8080" })).toHaveLength(1);
  });

  test("a Kubernetes service that hides one of ours is explained", () => {
    expect(problemsOf({ TARL_REST_PORT: "tcp://10.0.0.1:80" })[0]).toContain("enableServiceLinks: false");
  });
});

describe("rules between variables", () => {
  test.each<[Environment, RegExp]>([
    [
      { TARL_OIDC_ISSUER: "https://id.example" },
      /belong together: TARL_OIDC_AUDIENCE and TARL_OIDC_JWKS_URL are not set/,
    ],
    [{ TARL_TLS_CERT_FILE: thisFile }, /belong together: TARL_TLS_KEY_FILE is not set/],
    [{ TARL_TLS_CLIENT_CA_FILE: thisFile }, /also needs TARL_TLS_CERT_FILE/],
    [{ TARL_TLS_CERT_FILE: thisFile, TARL_TLS_KEY_FILE: "/nowhere/key.pem" }, /names \/nowhere\/key.pem, which is not/],
    [{ TARL_MAX_PAYLOAD_BYTES: "1048576", TARL_MAX_REQUEST_BYTES: "65536" }, /must not be greater than/],
    [{ TARL_REST_PORT: "4000" }, /TARL_GRAPHQL_PORT and TARL_REST_PORT are both 4000/],
    [{ TARL_REQUEST_TIMEOUT_MS: "30000" }, /TARL_REQUEST_TIMEOUT_MS must be a whole number from 31000/],
  ])("%o is refused", (environment, problem) => {
    expect(problemsOf(environment)).toEqual([expect.stringMatching(problem)]);
  });

  test("0 may be given for several ports", () => {
    expect(problemsOf({ TARL_REST_PORT: "0", TARL_GRAPHQL_PORT: "0", TARL_GRPC_PORT: "0" })).toEqual([]);
  });
});

test.each([
  ["TARL_DATABASE_URL", "mysql://u:hunter2@h/db"],
  ["TARL_REDIS_URL", "http://u:hunter2@h"],
  ["TARL_REDIS_URL", "redis://u:hunter2 @h"],
])("%s refuses %s without repeating the password", (name, value) => {
  const problems = problemsOf({ [name]: value });
  expect(problems).toHaveLength(1);
  expect(problems[0]).not.toContain("hunter2");
});

test.each(["redis://h", "rediss://h:1/2", "redis+sentinel://:p@a:1,b:2/main", "redis+cluster://a:1,b:2"])(
  "takes the Redis URL %s",
  (url) => expect(loadConfig({ TARL_REDIS_URL: url }).redisUrl).toBe(url),
);

test("prints every variable, secrets masked and defaults marked", () => {
  const lines = printConfig({
    TARL_DATABASE_URL: "postgres://tarl:p@ss:word@db:5432/tarl?sslmode=require&sslpassword=hunter2",
    TARL_REDIS_URL: "redis+cluster://:hunter3@a:1,b:2",
  }).split("\n");
  expect(lines).toContain("TARL_DATABASE_URL=postgres://tarl:***@db:5432/tarl?sslmode=require&sslpassword=***");
  expect(lines).toContain("TARL_REDIS_URL=redis+cluster://:***@a:1,b:2");
  expect(lines).toContain("TARL_REST_PORT=8080 # default");
  expect(lines).toContain("# TARL_OTLP_ENDPOINT is not set");
});
