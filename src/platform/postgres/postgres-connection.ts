/** How a connection is made: where to, and with which settings it begins. */
export interface PostgresConnection {
  readonly connectionString: string;
  readonly options: string;
}

/**
 * Adds `settings` to what `url` asks for, which wins. They go into the startup parameter `options`
 * and not each into one of its own, because poolers refuse every parameter they do not know.
 */
export function postgresConnection(
  url: string,
  settings: Readonly<Record<string, string | number>>,
): PostgresConnection {
  const location = new URL(url);
  const asked = location.searchParams.getAll("options");
  location.searchParams.delete("options");
  const own = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  return { connectionString: location.href, options: [...own, ...asked].join(" ") };
}
