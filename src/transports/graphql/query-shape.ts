import type { GraphQLError } from "graphql";
import { type DocumentNode, type FragmentDefinitionNode, Kind, type SelectionSetNode, visit } from "graphql";
import { overLimit } from "./errors.ts";
import type { GraphqlLimits } from "./limits.ts";

/**
 * The limits that need no schema, checked before validation, whose own work grows with what they
 * bound. Introspection has its own rule of graphql-js against going in circles.
 */
export function shapeProblems(document: DocumentNode, limits: GraphqlLimits): GraphQLError[] {
  let aliases = 0;
  let directives = 0;
  visit(document, {
    Field: (node) => void (node.alias && aliases++),
    Directive: () => void directives++,
  });
  const problems: GraphQLError[] = [];
  if (aliases > limits.maxAliases) {
    problems.push(overLimit("GRAPHQL_TOO_MANY_ALIASES", "Too many aliases", aliases, limits.maxAliases));
  }
  if (directives > limits.maxDirectives) {
    problems.push(overLimit("GRAPHQL_TOO_MANY_DIRECTIVES", "Too many directives", directives, limits.maxDirectives));
  }
  const depth = depthOf(document);
  if (depth > limits.maxDepth) {
    problems.push(overLimit("GRAPHQL_TOO_DEEP", "The query nests too deep", depth, limits.maxDepth));
  }
  return problems;
}

/** Levels of fields, fragments followed, introspection left out. */
function depthOf(document: DocumentNode): number {
  const fragments = fragmentsOf(document);
  // A fragment that is being measured counts nothing when met again: validation refuses such circles later.
  const depthByFragment = new Map<string, number>();

  function measure(set: SelectionSetNode | undefined): number {
    let deepest = 0;
    for (const selection of set?.selections ?? []) {
      let depth = 0;
      if (selection.kind === Kind.FIELD) {
        depth = selection.name.value.startsWith("__") ? 0 : 1 + measure(selection.selectionSet);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        depth = measure(selection.selectionSet);
      } else {
        depth = measureFragment(selection.name.value);
      }
      if (depth > deepest) deepest = depth;
    }
    return deepest;
  }

  function measureFragment(name: string): number {
    const known = depthByFragment.get(name);
    if (known !== undefined) return known;
    depthByFragment.set(name, 0);
    const depth = measure(fragments.get(name)?.selectionSet);
    depthByFragment.set(name, depth);
    return depth;
  }

  let deepest = 0;
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) deepest = Math.max(deepest, measure(definition.selectionSet));
  }
  return deepest;
}

export function fragmentsOf(document: DocumentNode): Map<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return fragments;
}

/** Whether the document asks about the schema; `__typename` alone does not. */
export function introspects(document: DocumentNode): boolean {
  let found = false;
  visit(document, {
    Field: (node) => {
      if (node.name.value === "__schema" || node.name.value === "__type") found = true;
    },
  });
  return found;
}
