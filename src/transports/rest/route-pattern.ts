/** One part of a path between slashes. `verb` is `:cancel` or empty and ends a variable's segment. */
export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "variable"; readonly name: string; readonly verb: string };

export interface RoutePattern {
  readonly method: string;
  readonly path: string;
  readonly segments: readonly Segment[];
}

const ROUTE = /^(GET|POST|PUT|PATCH|DELETE) \/(.+)$/;
const LITERAL = /^[A-Za-z0-9._~-]+(:[A-Za-z][A-Za-z0-9]*)?$/;
const VARIABLE = /^\{([A-Za-z][A-Za-z0-9]*)\}(:[A-Za-z][A-Za-z0-9]*)?$/;

/** Reads `POST /v1/tasks/{taskId}:cancel`; throws where it is not such a route. */
export function parseRoutePattern(route: string): RoutePattern {
  const parts = ROUTE.exec(route);
  if (!parts) throw new Error(`"${route}" is not a route: it must be like "POST /v1/things/{thingId}:verb".`);
  const texts = parts[2]!.split("/");
  const seen = new Set<string>();
  const segments = texts.map((text, index): Segment => {
    const isLast = index === texts.length - 1;
    const variable = VARIABLE.exec(text);
    const literal = LITERAL.exec(text);
    const verb = (variable?.[2] ?? literal?.[1] ?? "") as string;
    if (!variable && !literal)
      throw new Error(`"${route}" has a segment that is no name and no {variable}: "${text}".`);
    if (verb !== "" && !isLast) throw new Error(`"${route}" has the verb "${verb}" before its end.`);
    if (!variable) return { kind: "literal", text };
    const name = variable[1]!;
    if (seen.has(name)) throw new Error(`"${route}" names {${name}} twice.`);
    seen.add(name);
    return { kind: "variable", name, verb };
  });
  return { method: parts[1]!, path: `/${parts[2]!}`, segments };
}

type Relation = "same" | "disjoint" | "narrower" | "wider";

function compareSegments(left: Segment, right: Segment): Relation {
  if (left.kind === "literal" && right.kind === "literal") return left.text === right.text ? "same" : "disjoint";
  if (left.kind === "literal" && right.kind === "variable") {
    return left.text.endsWith(right.verb) ? "narrower" : "disjoint";
  }
  if (left.kind === "variable" && right.kind === "literal") {
    return right.text.endsWith(left.verb) ? "wider" : "disjoint";
  }
  const [leftVerb, rightVerb] = [(left as { verb: string }).verb, (right as { verb: string }).verb];
  if (leftVerb === rightVerb) return "same";
  if (rightVerb === "") return "narrower";
  return leftVerb === "" ? "wider" : "disjoint";
}

/**
 * Whether some path matches both patterns and neither is the more specific one, so that nothing but
 * chance would decide between them.
 */
export function isAmbiguous(left: RoutePattern, right: RoutePattern): boolean {
  if (left.method !== right.method || left.segments.length !== right.segments.length) return false;
  const relations = left.segments.map((segment, index) => compareSegments(segment, right.segments[index]!));
  if (relations.includes("disjoint")) return false;
  return relations.includes("narrower") === relations.includes("wider");
}
