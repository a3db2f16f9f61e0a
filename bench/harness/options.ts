import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Only cases whose name begins with one of these; none means all. */
  readonly only: readonly string[];
  /** How long one round of one side lasts. */
  readonly seconds: number;
  readonly rounds: number;
  /** Where the figures go as JSON besides. */
  readonly jsonFile: string | undefined;
  /** Where the gateway's CPU profiles go, one folder a case; absent: it is not profiled. */
  readonly profileDir: string | undefined;
}

const DEFAULT_SECONDS = 1.5;
const DEFAULT_ROUNDS = 5;
const DEFAULT_PROFILE_DIR = "bench-profiles";

export const USAGE = `npm run bench -- [options]
  --only name       only the cases whose name begins so; may be repeated, or several with commas
  --seconds n       how long one round of one side lasts (${DEFAULT_SECONDS})
  --rounds n        how many rounds each side gets (${DEFAULT_ROUNDS})
  --json file       write the figures as JSON besides
  --profile [dir]   profile the gateway's CPU into dir/<case> (${DEFAULT_PROFILE_DIR}); figures are lower then
  --list            print the names of the cases
  --help            print this
`;

export type Command = BenchOptions | "help" | "list";

/** Reads the command line; throws where it does not understand it. */
export function readOptions(args: readonly string[]): Command {
  const { values } = parseArgs({
    args: withProfileDir(args),
    options: {
      only: { type: "string", multiple: true, default: [] },
      seconds: { type: "string", default: String(DEFAULT_SECONDS) },
      rounds: { type: "string", default: String(DEFAULT_ROUNDS) },
      json: { type: "string" },
      profile: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  if (values.list) return "list";
  return {
    only: values.only.flatMap((names) => names.split(",")),
    seconds: positive("seconds", values.seconds),
    rounds: Math.ceil(positive("rounds", values.rounds)),
    jsonFile: values.json,
    profileDir: values.profile,
  };
}

/** `--profile` may stand alone. */
function withProfileDir(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    const next = args[index + 1];
    const standsAlone = arg === "--profile" && (next === undefined || next.startsWith("--"));
    return standsAlone ? `--profile=${DEFAULT_PROFILE_DIR}` : arg;
  });
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not "${text}".`);
  return value;
}
