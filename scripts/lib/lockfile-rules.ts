export interface LockedPackage {
  version?: string;
  resolved?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

export interface Lockfile {
  packages: Record<string, LockedPackage>;
}

const PLATFORM = /(android|darwin|linux|win32|freebsd|openbsd|sunos|aix)-([a-z0-9]+?)(?:-?(musl|gnu|eabi))?$/;
const CPU_BY_NAME: Record<string, string> = { aarch64: "arm64", armv7: "arm" };

/** What is wrong with the lock file, one line each. */
export function lockfileProblems(lockfile: Lockfile): string[] {
  const problems: string[] = [];
  for (const [path, locked] of Object.entries(lockfile.packages)) {
    if (locked.resolved !== undefined) problems.push(`${path} names the address ${new URL(locked.resolved).host}`);
  }
  for (const { name, version, parent } of missingPlatformPackages(lockfile)) {
    problems.push(`${parent} has no entry for its optional dependency ${name}@${version}`);
  }
  return problems;
}

/** Mends what `lockfileProblems` finds. Entries added for other platforms carry no integrity hash. */
export function fixLockfile(lockfile: Lockfile): Lockfile {
  const packages: Record<string, LockedPackage> = {};
  for (const [path, { resolved: _, ...locked }] of Object.entries(lockfile.packages)) packages[path] = locked;
  for (const { name, version, parent } of missingPlatformPackages(lockfile)) {
    const platform = PLATFORM.exec(name);
    // Without an exact version and a platform there is nothing safe to write; npm has to resolve it.
    if (!platform || !/^\d/.test(version)) continue;
    const [, os, cpu, libc] = platform;
    packages[`node_modules/${name}`] = {
      version,
      cpu: [CPU_BY_NAME[cpu!] ?? cpu!],
      ...(lockfile.packages[parent]?.dev && { dev: true }),
      ...(libc === "musl" && { libc: ["musl"] }),
      optional: true,
      os: [os!],
    };
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en"));
  return { ...lockfile, packages: Object.fromEntries(sorted) };
}

function missingPlatformPackages({ packages }: Lockfile) {
  return Object.entries(packages).flatMap(([parent, locked]) =>
    Object.entries(locked.optionalDependencies ?? {})
      .filter(([name]) => !packages[`node_modules/${name}`] && !packages[`${parent}/node_modules/${name}`])
      .map(([name, version]) => ({ name, version, parent })),
  );
}
