/** Where a Redis is, as its URL says. */
export interface RedisAddress {
  readonly kind: "single" | "sentinel" | "cluster";
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** The name the sentinels know the master by. */
  readonly masterName: string | undefined;
}

const KINDS = { redis: "single", "redis+sentinel": "sentinel", "redis+cluster": "cluster" } as const;
const TLS_KINDS = { rediss: "single", "rediss+sentinel": "sentinel", "rediss+cluster": "cluster" } as const;
const DEFAULT_PORTS = { single: 6379, sentinel: 26_379, cluster: 6379 } as const;

const SHAPE = /^(?<scheme>[a-z+]+):\/\/(?:(?<credentials>[^@/]*)@)?(?<hosts>[^/?#]+)(?:\/(?<path>[^?#]*))?$/;

/**
 * Reads `redis://[user:password@]host:port/db`, `rediss://…` (TLS),
 * `redis+sentinel://[user:password@]host:port,host:port/masterName[/db]` and
 * `redis+cluster://[user:password@]host:port,host:port`. The errors never repeat the URL, which may hold a password.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const parts = SHAPE.exec(url)?.groups;
  const scheme = parts?.scheme ?? "";
  const kind = KINDS[scheme as keyof typeof KINDS] ?? TLS_KINDS[scheme as keyof typeof TLS_KINDS];
  if (parts === undefined || kind === undefined) {
    throw new Error(
      "The Redis URL must look like redis://host:6379/0, rediss://host:6379/0, " +
        "redis+sentinel://host:26379,host:26379/masterName/0 or redis+cluster://host:6379,host:6379.",
    );
  }
  const path = (parts.path ?? "").split("/").filter((part) => part !== "");
  const masterName = kind === "sentinel" ? path.shift() : undefined;
  if (kind === "sentinel" && masterName === undefined) {
    throw new Error(
      "The Redis URL must name the master that the sentinels watch: redis+sentinel://host:26379/masterName.",
    );
  }
  const database = Number(path[0] ?? "0");
  if (!Number.isInteger(database) || database < 0 || path.length > 1 || (kind === "cluster" && database !== 0)) {
    throw new Error(
      "The Redis URL must end in the number of a database, such as /0; a cluster has only the database 0.",
    );
  }
  const [username, password] = parseCredentials(parts.credentials);
  return {
    kind,
    hosts: parts.hosts!.split(",").map((host) => parseHost(host, DEFAULT_PORTS[kind])),
    tls: scheme in TLS_KINDS,
    username,
    password,
    database,
    masterName,
  };
}

function parseCredentials(credentials: string | undefined): [string | undefined, string | undefined] {
  if (!credentials) return [undefined, undefined];
  const colon = credentials.indexOf(":");
  // `redis://secret@host` is read as redis-cli reads it: a name without a password.
  const username = colon === -1 ? credentials : credentials.slice(0, colon);
  const password = colon === -1 ? undefined : decodeURIComponent(credentials.slice(colon + 1));
  return [username === "" ? undefined : decodeURIComponent(username), password];
}

function parseHost(text: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?<host>\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(?<port>\d{1,5}))?$/.exec(text)?.groups;
  const port = Number(match?.port ?? defaultPort);
  if (match === undefined || port < 1 || port > 65_535) {
    throw new Error("Each host in the Redis URL must look like name:port, 10.0.0.1:port or [::1]:port.");
  }
  return { host: match.host!.replace(/^\[|\]$/g, ""), port };
}
