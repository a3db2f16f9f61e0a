import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Which core each side gets, as `taskset -c` writes them. */
export interface Cores {
  /** The gateway or the bare library. */
  readonly server: string;
  /** This process, which makes the load. */
  readonly load: string;
  /** What nobody pins: Postgres, Redis. */
  readonly all: string;
}

/** The first two cores this process may use; undefined where there is no second one or no taskset. */
export function chooseCores(): Cores | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    const all = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    const [server, load] = listCores(all);
    if (server === undefined || load === undefined) return undefined;
    return { server: String(server), load: String(load), all };
  } catch {
    return undefined;
  }
}

/** `0-2,5` → 0, 1, 2, 5 */
function listCores(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Moves this process with all its threads; what it starts from now on inherits that. */
export function pinThisProcess(core: string): void {
  execFileSync("taskset", ["-a", "-c", "-p", core, String(process.pid)], { stdio: "ignore" });
}

/** Linux counts CPU time in hundredths of a second, whatever the kernel's own tick is. */
const CLOCK_TICKS_PER_SECOND = 100;

/** The CPU time a process has used in all its threads; undefined where there is no /proc. */
export function readCpuSeconds(pid: number): number | undefined {
  const fields = readStat(pid);
  return fields && (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

function readStat(pid: number): string[] | undefined {
  const stat = readStatText(pid);
  return stat === undefined ? undefined : fieldsOf(stat);
}

function readStatText(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
}

/** What stands after the name: the parent is the 2nd field, user and system time are the 12th and 13th. */
function fieldsOf(stat: string): string[] {
  // The name stands in parentheses and may hold spaces.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The CPU time of a process and of all that it started and are still there, with what those waited for. */
export function readTreeCpuSeconds(root: number): number | undefined {
  if (readCpuSeconds(root) === undefined) return undefined;
  return listTree(root).reduce((total, { seconds }) => total + seconds, 0);
}

/** The same by the processes' names, where `names` does not know a better one; empty where there is no /proc. */
export function readTreeCpuByName(root: number, names: ReadonlyMap<number, string>): Map<string, number> {
  const sums = new Map<string, number>();
  if (readCpuSeconds(root) === undefined) return sums;
  for (const { pid, name: own, seconds } of listTree(root)) {
    const name = names.get(pid) ?? own;
    sums.set(name, (sums.get(name) ?? 0) + seconds);
  }
  return sums;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly seconds: number;
}

/** A process and all that come from it. */
function listTree(root: number): Process[] {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
  const children = Map.groupBy(processes, ({ parent }) => parent);
  const below = (pid: number): Process[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return [...processes.filter(({ pid }) => pid === root), ...below(root)];
}

/** A process with its own CPU time and that of its children that have ended. */
function readProcess(pid: number): Process | undefined {
  const stat = readStatText(pid);
  if (stat === undefined) return undefined;
  const fields = fieldsOf(stat);
  const ticks = fields.slice(11, 15).reduce((total, field) => total + Number(field), 0);
  const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  return { pid, parent: Number(fields[1]), name, seconds: ticks / CLOCK_TICKS_PER_SECOND };
}

/** The memory of a process that is in RAM; undefined where there is no /proc. */
export function readResidentMegabytes(pid: number): number | undefined {
  try {
    const kilobytes = /VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
  } catch {
    return undefined;
  }
}

/** The most memory that this process has had in RAM since it was last told to forget that. */
export function readPeakMegabytes(): number {
  try {
    return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
  } catch {
    return process.resourceUsage().maxRSS / 1024;
  }
}

/** Begins to measure the most memory anew, where the system can do that. */
export function forgetPeakMemory(): void {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Then the peak is that of the whole life of the process.
  }
}
