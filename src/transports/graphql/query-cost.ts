import {
  type DocumentNode,
  type FieldNode,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
  valueFromASTUntyped,
} from "graphql";
import { fragmentsOf } from "./query-shape.ts";

/** What a field costs. Values are free: they came with their object. */
const CALL_COST = 10;
const INTROSPECTION_COST = 100;
const RELATION_COST = 2;
const OBJECT_COST = 1;

/** How long a list is taken to be where no argument says it. */
const ASSUMED_LIST_SIZE = 10;
const ASSUMED_PAGE_SIZE = 50;
/** No operation answers with more at once; to ask for more is refused by its own check, which names the field. */
const MAX_LIST_SIZE = 1_000;
/** Arguments, or fields of an `input`, that say how long the list in the answer may be. */
const SIZE_ARGUMENTS = ["pageSize", "maxTasks", "limit"];

export interface QueryCost {
  /** Whether the cost is the same for all variables. */
  readonly isConstant: boolean;
  cost(variables: Readonly<Record<string, unknown>>): number;
}

/**
 * Prices an operation that was already validated. A field with a size argument lends its size to
 * the lists right below it (`listTasks(pageSize: 50) { tasks { … } }`); an argument that is itself a
 * list lends its length, because a batch answers as many items as it was given.
 */
export function priceOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  isRelation: (typeName: string, fieldName: string) => boolean,
): QueryCost {
  const fragments = fragmentsOf(document);
  const rootType = schema.getRootType(operation.operation);
  const defaults = variableDefaultsOf(operation);
  let readsVariables = false;

  function cost(given: Readonly<Record<string, unknown>>): number {
    const variables = { ...defaults, ...given };
    // Fragments used under many aliases would cost exponential work to walk again each time.
    const costByFragment = new Map<string, number>();

    function setCost(set: SelectionSetNode, typeName: string, isRoot: boolean, size: number | undefined): number {
      let sum = 0;
      for (const selection of set.selections) {
        if (selection.kind === Kind.FIELD) {
          sum += fieldCost(selection, typeName, isRoot, size);
        } else if (selection.kind === Kind.INLINE_FRAGMENT) {
          sum += setCost(selection.selectionSet, selection.typeCondition?.name.value ?? typeName, isRoot, size);
        } else {
          const name = selection.name.value;
          const key = `${name} ${size}`;
          let known = costByFragment.get(key);
          if (known === undefined) {
            const fragment = fragments.get(name)!;
            known = setCost(fragment.selectionSet, fragment.typeCondition.name.value, isRoot, size);
            costByFragment.set(key, known);
          }
          sum += known;
        }
      }
      return sum;
    }

    function fieldCost(node: FieldNode, typeName: string, isRoot: boolean, inherited: number | undefined): number {
      const name = node.name.value;
      if (name.startsWith("__")) return name === "__typename" ? 0 : INTROSPECTION_COST;
      const type = schema.getType(typeName);
      const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
      if (!field) return 0;
      const named = getNamedType(field.type);
      const own = isRoot
        ? CALL_COST
        : isRelation(typeName, name)
          ? RELATION_COST
          : isCompositeType(named)
            ? OBJECT_COST
            : 0;
      const size = sizeOf(node, field, variables);
      const count = isList(field.type) ? (size ?? inherited ?? ASSUMED_LIST_SIZE) : 1;
      const below = node.selectionSet
        ? setCost(node.selectionSet, named.name, false, isList(field.type) ? undefined : size)
        : 0;
      // A call or a relation is made once, however long its answer is.
      return isRoot || isRelation(typeName, name) ? own + count * below : count * (own + below);
    }

    return setCost(operation.selectionSet, rootType!.name, true, undefined);
  }

  function sizeOf(
    node: FieldNode,
    field: GraphQLField<unknown, unknown>,
    variables: Readonly<Record<string, unknown>>,
  ): number | undefined {
    const sizes: number[] = [];
    let hasSizeArgument = false;
    for (const argument of field.args) {
      const isSize = SIZE_ARGUMENTS.includes(argument.name);
      if (!isSize && argument.name !== "input" && !isList(argument.type)) continue;
      hasSizeArgument ||= isSize;
      const given = node.arguments?.find(({ name }) => name.value === argument.name);
      if (given && holdsVariable(given.value)) readsVariables = true;
      const value = given ? valueFromASTUntyped(given.value, variables) : argument.defaultValue;
      sizes.push(...sizesSaid(argument.name, value));
      if (argument.name === "input" && typeof value === "object" && value !== null) {
        for (const [key, inner] of Object.entries(value)) sizes.push(...sizesSaid(key, inner));
      }
    }
    if (sizes.length > 0) return Math.min(MAX_LIST_SIZE, Math.max(...sizes));
    return hasSizeArgument ? ASSUMED_PAGE_SIZE : undefined;
  }

  const constant = cost({});
  return { isConstant: !readsVariables, cost: readsVariables ? cost : () => constant };
}

function sizesSaid(name: string, value: unknown): number[] {
  if (Array.isArray(value)) return [value.length];
  return SIZE_ARGUMENTS.includes(name) && typeof value === "number" && value >= 0 ? [value] : [];
}

function variableDefaultsOf(operation: OperationDefinitionNode): Record<string, unknown> {
  const defaults: Record<string, unknown> = {};
  for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
    if (defaultValue) defaults[variable.name.value] = valueFromASTUntyped(defaultValue);
  }
  return defaults;
}

function isList(type: GraphQLInputType | GraphQLOutputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}

function holdsVariable(node: ValueNode): boolean {
  if (node.kind === Kind.VARIABLE) return true;
  if (node.kind === Kind.LIST) return node.values.some(holdsVariable);
  if (node.kind === Kind.OBJECT) return node.fields.some((field) => holdsVariable(field.value));
  return false;
}
