import type { Json } from "../core/json.ts";
import type { AnyOperation } from "../core/operation.ts";

/**
 * The intermediate form between zod and what is emitted. It knows what JSON Schema does not, such
 * as int32 beside int64, and forgets what no contract can say, such as refinements.
 */
export interface ContractModel {
  readonly operations: readonly AnyOperation[];
  readonly messages: ReadonlyMap<string, MessageModel>;
  readonly enums: ReadonlyMap<string, EnumModel>;
  readonly unions: ReadonlyMap<string, UnionModel>;
  /** The ids of an operation's input and output messages. */
  input(operation: AnyOperation): MessageModel;
  output(operation: AnyOperation): MessageModel;
}

export interface MessageModel {
  readonly id: string;
  readonly description: string;
  readonly fields: readonly FieldModel[];
  /** Which way it travels; a message may go both ways. */
  readonly usedAs: ReadonlySet<Direction>;
}

/** `input` is what clients send, `output` what they get. */
export type Direction = "input" | "output";

export interface EnumModel {
  readonly id: string;
  readonly description: string;
  readonly values: readonly string[];
  /** What each value means, where that is said. */
  readonly valueDescriptions: Readonly<Record<string, string>>;
}

/** A tagged object in JSON, a message around a oneof in proto, a union or `@oneOf` input in GraphQL. */
export interface UnionModel {
  readonly id: string;
  readonly description: string;
  /** The field that tells the members apart, e.g. `type`. */
  readonly discriminator: string;
  readonly members: readonly UnionMember[];
  readonly usedAs: ReadonlySet<Direction>;
}

export interface UnionMember {
  /** What the discriminator says, e.g. `TASK_LEASED`. */
  readonly value: string;
  /** The oneof's member in JavaScript and GraphQL, e.g. `taskLeased`. */
  readonly name: string;
  /** The message it holds. */
  readonly message: string;
}

export interface FieldModel {
  readonly name: string;
  readonly description: string;
  readonly type: TypeModel;
  /** Whether a client must send it. */
  readonly requiredInInput: boolean;
  /** Whether an answer always holds it, field authorisation aside. */
  readonly requiredInOutput: boolean;
  /** Stands in where a client sends nothing. */
  readonly defaultValue?: Json;
  /** The permission without which the field is left out of answers. */
  readonly visibleTo?: string;
}

export type ScalarName = "string" | "int32" | "int64" | "double" | "bool" | "timestamp" | "json" | "base64";

/** Bounds, under their JSON Schema keywords. */
export type Constraints = Readonly<Record<string, Json>>;

export type TypeModel =
  | { readonly kind: "scalar"; readonly scalar: ScalarName; readonly constraints: Constraints }
  | { readonly kind: "literal"; readonly value: string }
  | { readonly kind: "enum"; readonly id: string }
  | { readonly kind: "message"; readonly id: string }
  | { readonly kind: "union"; readonly id: string }
  | {
      readonly kind: "list";
      readonly item: TypeModel;
      readonly constraints: Constraints;
      /** Whether items may be null. Proto, which has no null in lists, carries a zero in its place. */
      readonly sparse: boolean;
    }
  | { readonly kind: "map"; readonly value: TypeModel; readonly constraints: Constraints };

/** Whether `field` is always there when its message travels in `direction`. */
export function isRequired(field: FieldModel, direction: Direction): boolean {
  return direction === "input" ? field.requiredInInput : field.requiredInOutput && field.visibleTo === undefined;
}

/**
 * Whether proto tells a field that is absent from one that is zero. Lists and maps never do;
 * everything that may be absent in a direction its message travels in does.
 */
export function hasProtoPresence(message: MessageModel, field: FieldModel): boolean {
  if (field.type.kind === "list" || field.type.kind === "map") return false;
  return [...message.usedAs].some((direction) => !isRequired(field, direction));
}
