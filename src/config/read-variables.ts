import { closestName } from "./closest-name.ts";
import { VARIABLES, type VariableName, type VariableValues } from "./variables.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "TARL_";
/** Read by the tests and the benchmark, not by the gateway. */
const FOREIGN_PREFIXES = ["TARL_TEST_", "TARL_BENCH_"];
/** Kubernetes and Docker describe a service called `tarl…` to its neighbours in variables of these forms. */
const SERVICE_LINK_NAME = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//;

export const VARIABLE_NAMES = Object.keys(VARIABLES) as VariableName[];

/** Reads every variable by itself; `problems` has a line for each one that cannot be used. */
export function readVariables(environment: Environment): { values: VariableValues; problems: string[] } {
  const problems = unknownNames(environment);
  const values: Partial<Record<VariableName, unknown>> = {};
  for (const name of VARIABLE_NAMES) {
    const { schema, fallback } = VARIABLES[name] as {
      schema: (typeof VARIABLES)["TARL_HOST"]["schema"];
      fallback?: string;
    };
    const text = textOf(environment, name) ?? fallback;
    if (text === undefined) continue;
    const result = schema.safeParse(text);
    if (result.success) values[name] = result.data;
    else problems.push(`${name} ${result.error.issues[0]!.message}.${hintFor(text)}`);
  }
  return { values: values as VariableValues, problems };
}

/** The text a variable was given; what is empty or blank counts as not set. */
export function textOf(environment: Environment, name: VariableName): string | undefined {
  return environment[name]?.trim() || undefined;
}

function unknownNames(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX) && !(name in VARIABLES))
    .filter((name) => !FOREIGN_PREFIXES.some((prefix) => name.startsWith(prefix)))
    .filter((name) => !isServiceLink(name, environment[name] ?? ""))
    .sort()
    .map((name) => {
      const meant = closestName(name, VARIABLE_NAMES);
      return `${name} is not a variable of the gateway.${meant ? ` Did you mean ${meant}?` : ""}`;
    });
}

function isServiceLink(name: string, value: string): boolean {
  if (!SERVICE_LINK_NAME.test(name)) return false;
  return !name.endsWith("_PORT") || name.endsWith("_SERVICE_PORT") || SERVICE_LINK_VALUE.test(value);
}

function hintFor(text: string): string {
  return SERVICE_LINK_VALUE.test(text)
    ? " Kubernetes set it to describe a service of that name: set enableServiceLinks: false in the pod."
    : "";
}
