import { isAmbiguous, type RoutePattern } from "./route-pattern.ts";

interface Node<Target> {
  readonly literals: Map<string, Node<Target>>;
  /** `:cancel` → what follows a variable with that verb; always at a path's end. */
  readonly verbs: Map<string, Node<Target>>;
  variable: Node<Target> | undefined;
  readonly targets: Map<string, Target>;
}

export interface RouteTable<Target> {
  /** `segments` is the undecoded path split at its slashes, with an empty text at index 0. */
  match(method: string, segments: readonly string[]): Target | undefined;
  /** The methods that the path is served with; empty where it is not served at all. */
  methods(segments: readonly string[]): string[];
}

function createNode<Target>(): Node<Target> {
  return { literals: new Map(), verbs: new Map(), variable: undefined, targets: new Map() };
}

function childOf<Target>(children: Map<string, Node<Target>>, name: string): Node<Target> {
  const existing = children.get(name);
  if (existing) return existing;
  const made = createNode<Target>();
  children.set(name, made);
  return made;
}

function insert<Target>(root: Node<Target>, pattern: RoutePattern, target: Target): void {
  let node = root;
  for (const segment of pattern.segments) {
    if (segment.kind === "literal") node = childOf(node.literals, segment.text);
    else if (segment.verb !== "") node = childOf(node.verbs, segment.verb);
    else {
      node.variable ??= createNode();
      node = node.variable;
    }
  }
  node.targets.set(pattern.method, target);
}

/**
 * Visits what matches, the most specific first, until `visit` answers true. A verb is taken for a
 * verb whatever the method, so that a wrong method on it is 405 and not somebody's odd id; an id
 * that ends like one is written with %3A.
 */
function walk<Target>(
  node: Node<Target>,
  segments: readonly string[],
  index: number,
  visit: (targets: Map<string, Target>) => boolean,
): boolean {
  if (index === segments.length) return node.targets.size > 0 && visit(node.targets);
  const segment = segments[index]!;
  const literal = node.literals.get(segment);
  if (literal !== undefined && walk(literal, segments, index + 1, visit)) return true;
  if (segment === "") return false;
  if (node.verbs.size > 0 && index === segments.length - 1) {
    const colon = segment.lastIndexOf(":");
    const verb = colon > 0 ? node.verbs.get(segment.slice(colon)) : undefined;
    if (verb !== undefined) {
      visit(verb.targets);
      return true;
    }
  }
  return node.variable !== undefined && walk(node.variable, segments, index + 1, visit);
}

/** Compiles routes once. Throws where two of them could both claim a path. */
export function createRouteTable<Target>(
  routes: readonly { readonly pattern: RoutePattern; readonly target: Target }[],
): RouteTable<Target> {
  const root = createNode<Target>();
  routes.forEach(({ pattern, target }, index) => {
    const rival = routes.slice(0, index).find((earlier) => isAmbiguous(earlier.pattern, pattern));
    if (rival) {
      throw new Error(
        `The routes "${pattern.method} ${rival.pattern.path}" and "${pattern.method} ${pattern.path}" can match the same path. Change one of them.`,
      );
    }
    insert(root, pattern, target);
  });

  return {
    match(method, segments) {
      let found: Target | undefined;
      walk(root, segments, 1, (targets) => {
        found = targets.get(method);
        return found !== undefined;
      });
      return found;
    },
    methods(segments) {
      const methods = new Set<string>();
      walk(root, segments, 1, (targets) => {
        for (const method of targets.keys()) methods.add(method);
        return false;
      });
      return [...methods];
    },
  };
}
