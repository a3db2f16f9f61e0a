import { type ASTNode, type GraphQLError, Kind, type OperationDefinitionNode, visit } from "graphql";
import type { FieldViolation } from "../../core/errors.ts";
import { shortened } from "./errors.ts";

const MAX_FIELD_CHARACTERS = 200;
const WRONG_PART = /^Variable "\$(\w+)" got invalid value .* at "\w+((?:\.\w+|\[\d+\])*)"; (.*)$/s;
const WRONG_WHOLE = /^Variable "\$(\w+)" got invalid value .*?; (.*)$/s;
const WRONG_NULL = /^Variable "\$(\w+)" of (?:required|non-null) type .*$/s;
const UNKNOWN_FIELD = /^Field "(\w+)" is not defined by type/;
const MISSING_FIELD = /^Field "(\w+)" of required type/;

/**
 * Which field of the operation's input a refused variable stands for, in the words of the other
 * protocols: `input.tasks[3].priority` is the field `tasks[3].priority`.
 */
export function variableViolation(error: GraphQLError, operation: OperationDefinitionNode): FieldViolation | undefined {
  const part = WRONG_PART.exec(error.message);
  const found = part ?? WRONG_WHOLE.exec(error.message) ?? WRONG_NULL.exec(error.message);
  if (!found) return undefined;
  const [below, message] = part ? [part[2]!, part[3]!] : ["", found[2] ?? "is required"];
  const place = placeOfVariable(found[1]!, operation);
  const inner = UNKNOWN_FIELD.exec(message)?.[1] ?? MISSING_FIELD.exec(message)?.[1];
  const field = `${place}${below}${inner ? `.${inner}` : ""}`.replace(/^\./, "");
  return { field: field.slice(0, MAX_FIELD_CHARACTERS), message: shortened(message) };
}

/** Where the variable is used first, without the wrapper argument `input`. */
function placeOfVariable(name: string, operation: OperationDefinitionNode): string {
  let place: string | undefined;
  visit(operation, {
    VariableDefinition: () => false,
    Variable(node, _key, parent, _path, ancestors) {
      if (node.name.value !== name || place !== undefined) return;
      place = "";
      let previous: ASTNode | undefined;
      for (const ancestor of [...ancestors, parent]) {
        if (Array.isArray(ancestor)) {
          if (previous?.kind === Kind.LIST) place += `[${ancestor.indexOf(node)}]`;
          continue;
        }
        const current = ancestor as ASTNode;
        if (current.kind === Kind.ARGUMENT && current.name.value !== "input") place = current.name.value;
        if (current.kind === Kind.OBJECT_FIELD) place += `.${current.name.value}`;
        previous = current;
      }
    },
  });
  return (place ?? name).replace(/^\./, "");
}
