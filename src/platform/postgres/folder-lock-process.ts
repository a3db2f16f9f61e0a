import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";

/** A process that runs. */
export interface RunningProcess {
  /** When it was started, as this system writes it; empty where the system does not tell. */
  readonly startedAt: string;
}

/** What one way of asking found: nothing where no such process runs, "unknown" where this system has no such way. */
type Answer = RunningProcess | undefined | "unknown";

const PS_TIMEOUT_MS = 2_000;

/**
 * The process with this number, if it runs. One that has ended and waits for its parent to ask how
 * (a zombie) does not. The start tells it from a later process that was given the same number.
 */
export async function findProcess(pid: number): Promise<RunningProcess | undefined> {
  for (const ask of [askProc, askPs]) {
    const answer = await ask(pid);
    if (answer !== "unknown") return answer;
  }
  return isThere(pid) ? { startedAt: "" } : undefined;
}

/** Linux: the state and the kernel's ticks since boot, which name a moment only together with the boot. */
export async function askProc(pid: number): Promise<Answer> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (line === undefined) {
    // Processes of other users may be hidden there, so a missing one is asked for once more.
    const isLinux = await readFile("/proc/self/stat").then(
      () => true,
      () => false,
    );
    return isLinux && !isThere(pid) ? undefined : "unknown";
  }
  // The command's name may hold spaces; the fields after it do not. The state is the 3rd of all, starttime the 22nd.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return hasEnded(fields[0]) ? undefined : { startedAt: `${boot.trim()} ${fields[19] ?? ""}`.trim() };
}

/** macOS and the BSDs: the same from `ps`, in words that do not depend on language and time zone. */
export function askPs(pid: number): Promise<Answer> {
  const options = { timeout: PS_TIMEOUT_MS, env: { PATH: "/bin:/usr/bin", LC_ALL: "C", TZ: "UTC" } };
  return new Promise((resolve) => {
    execFile("ps", ["-o", "stat=,lstart=", "-p", String(pid)], options, (error, output) => {
      const [state, ...start] = output.trim().split(/\s+/);
      if (error === null) resolve(hasEnded(state) ? undefined : { startedAt: start.join(" ") });
      // It ends with 1 where there is no such process, and otherwise where it cannot be asked this way.
      else resolve(error.code === 1 && !isThere(pid) ? undefined : "unknown");
    });
  });
}

function hasEnded(state: string | undefined): boolean {
  return state === undefined || /^[ZXx]/.test(state);
}

/** Whether some process has this number, zombies included: all that every system tells. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
