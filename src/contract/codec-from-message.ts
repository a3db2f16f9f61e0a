import {
  type ContractModel,
  type Direction,
  type FieldModel,
  hasProtoPresence,
  isRequired,
  type TypeModel,
  type UnionModel,
} from "./model.ts";
import { protoEnumUnspecified, protoEnumValue } from "./names.ts";
import { type ProtoTimestamp, type ProtoValue, timestampToText, valueToJson } from "./well-known-types.ts";

type Convert = (value: unknown) => unknown;
type Fields = Record<string, unknown>;
/** Changes one field of a decoded message in place. */
type Step = (message: Fields) => void;

const ZEROS: Partial<Record<string, unknown>> = { string: "", int32: 0, int64: 0, double: 0, bool: false, base64: "" };

/** Gives, for each message id, the function that turns what proto-loader decoded into a plain value. */
export function compileFromMessage(model: ContractModel, direction: Direction): (id: string) => Convert {
  const compiled = new Map<string, Convert>();
  const underWay = new Set<string>();

  function message(id: string): Convert {
    const known = compiled.get(id);
    if (known) return known;
    // A message that holds itself finds its own converter when it is first called.
    if (underWay.has(id)) return (value) => compiled.get(id)!(value);
    underWay.add(id);
    const convert = model.unions.has(id) ? unionConvert(model.unions.get(id)!) : messageConvert(id);
    compiled.set(id, convert);
    return convert;
  }

  function messageConvert(id: string): Convert {
    const source = model.messages.get(id)!;
    const steps: Step[] = [];
    for (const field of source.fields) {
      const step = fieldStep(field, hasProtoPresence(source, field));
      if (step) steps.push(step);
    }
    if (steps.length === 0) return identity;
    if (steps.length === 1) return inPlace(steps[0]!);
    return (value) => {
      for (let index = 0; index < steps.length; index++) steps[index]!(value as Fields);
      return value;
    };
  }

  function fieldStep(field: FieldModel, presence: boolean): Step | undefined {
    const { name, type } = field;
    const required = isRequired(field, direction);
    switch (type.kind) {
      case "literal":
        return (fields) => {
          fields[name] = type.value;
        };
      case "list":
        return containerStep(name, listConvert(itemConvert(type.item)), required ? () => [] : undefined);
      case "map":
        return containerStep(name, mapConvert(itemConvert(type.value)), required ? () => ({}) : undefined);
      case "enum":
        return enumStep(name, type.id);
      case "scalar": {
        const zero = presence ? undefined : ZEROS[type.scalar];
        return scalarStep(name, itemConvert(type), zero);
      }
      default:
        return scalarStep(name, itemConvert(type), undefined);
    }
  }

  function itemConvert(type: TypeModel): Convert {
    switch (type.kind) {
      case "enum":
        return enumItemConvert(type.id);
      case "message":
      case "union":
        return message(type.id);
      case "scalar":
        return SCALAR_CONVERT[type.scalar] ?? identity;
      default:
        return identity;
    }
  }

  function enumWords(id: string): Map<unknown, string> {
    return new Map(model.enums.get(id)!.values.map((value) => [protoEnumValue(id, value), value]));
  }

  function enumStep(name: string, id: string): Step {
    const words = enumWords(id);
    const unspecified = protoEnumUnspecified(id);
    return (fields) => {
      const value = fields[name];
      if (value === undefined) return;
      if (value === unspecified) delete fields[name];
      else fields[name] = words.get(value) ?? value;
    };
  }

  // Within a list nothing can be absent, so UNSPECIFIED stays as it is and validation names it.
  function enumItemConvert(id: string): Convert {
    const words = enumWords(id);
    return (value) => words.get(value) ?? value;
  }

  function unionConvert(union: UnionModel): Convert {
    const members = union.members.map(({ name, message: id }) => ({ name, convert: message(id) }));
    return (value) => {
      for (const { name, convert } of members) {
        const member = (value as Fields)[name];
        if (member !== undefined) return convert(member);
      }
      return {};
    };
  }

  return message;
}

const SCALAR_CONVERT: Partial<Record<string, Convert>> = {
  timestamp: (value) => timestampToText(value as ProtoTimestamp),
  json: (value) => valueToJson(value as ProtoValue),
  base64: (value) => (value as Buffer).toString("base64"),
};

function identity(value: unknown): unknown {
  return value;
}

function inPlace(step: Step): Convert {
  return (value) => {
    step(value as Fields);
    return value;
  };
}

function scalarStep(name: string, convert: Convert, zero: unknown): Step | undefined {
  if (convert === identity) {
    if (zero === undefined) return undefined;
    return (fields) => {
      if (fields[name] === undefined) fields[name] = zero;
    };
  }
  return (fields) => {
    const value = fields[name];
    if (value !== undefined) fields[name] = convert(value);
    else if (zero !== undefined) fields[name] = zero;
  };
}

function containerStep(name: string, convert: Convert, empty: (() => unknown) | undefined): Step | undefined {
  if (convert === identity && empty === undefined) return undefined;
  return (fields) => {
    const value = fields[name];
    if (value !== undefined) fields[name] = convert(value);
    else if (empty !== undefined) fields[name] = empty();
  };
}

function listConvert(convert: Convert): Convert {
  if (convert === identity) return identity;
  return (value) => {
    const list = value as unknown[];
    for (let index = 0; index < list.length; index++) list[index] = convert(list[index]);
    return list;
  };
}

// The keys are there already, so even `__proto__` is an own one and assignment is safe only by definition.
function mapConvert(convert: Convert): Convert {
  if (convert === identity) return identity;
  return (value) => {
    const map = value as Fields;
    for (const key of Object.keys(map)) {
      Object.defineProperty(map, key, {
        value: convert(map[key]),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return map;
  };
}
