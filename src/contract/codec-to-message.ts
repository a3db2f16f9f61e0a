import type { ContractModel, FieldModel, ScalarName, TypeModel, UnionModel } from "./model.ts";
import { protoEnumValue } from "./names.ts";
import { setOwn, timestampFromText, valueFromJson } from "./well-known-types.ts";

type Convert = (value: unknown) => unknown;
type Fields = Record<string, unknown>;

interface Step {
  readonly name: string;
  readonly convert: Convert;
}

/** Gives, for each message id, the function that turns a plain value into what proto-loader encodes. */
export function compileToMessage(model: ContractModel): (id: string) => Convert {
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
    const steps: Step[] = [];
    for (const field of model.messages.get(id)!.fields) {
      const convert = fieldConvert(field);
      if (convert !== identity) steps.push({ name: field.name, convert });
    }
    // What needs no conversion is encoded as it is: proto-loader skips what is undefined or unknown.
    if (steps.length === 0) return identity;
    return (value) => {
      const fields: Fields = { ...(value as Fields) };
      for (let index = 0; index < steps.length; index++) {
        const { name, convert } = steps[index]!;
        const member = fields[name];
        if (member !== undefined) fields[name] = convert(member);
      }
      return fields;
    };
  }

  function fieldConvert({ type }: FieldModel): Convert {
    if (type.kind === "list" && type.sparse) return sparseListConvert(itemConvert(type.item), zeroOf(type.item));
    if (type.kind === "list") return listConvert(itemConvert(type.item));
    if (type.kind === "map") return mapConvert(itemConvert(type.value));
    return itemConvert(type);
  }

  function itemConvert(type: TypeModel): Convert {
    switch (type.kind) {
      case "enum": {
        const words = new Map<unknown, string>(
          model.enums.get(type.id)!.values.map((value) => [value, protoEnumValue(type.id, value)]),
        );
        return (value) => words.get(value) ?? value;
      }
      case "message":
      case "union":
        return message(type.id);
      case "scalar":
        return SCALAR_CONVERT[type.scalar] ?? identity;
      default:
        return identity;
    }
  }

  function unionConvert(union: UnionModel): Convert {
    const members = new Map<unknown, Step>(
      union.members.map(({ value, name, message: id }) => [value, { name, convert: message(id) }]),
    );
    return (value) => {
      const member = members.get((value as Fields)[union.discriminator]);
      return member ? { [member.name]: member.convert(value) } : {};
    };
  }

  return message;
}

const SCALAR_CONVERT: Partial<Record<string, Convert>> = {
  timestamp: timestampFromText,
  json: valueFromJson,
  base64: (value) => Buffer.from(String(value), "base64"),
};

function identity(value: unknown): unknown {
  return value;
}

function listConvert(convert: Convert): Convert {
  if (convert === identity) return identity;
  return (value) => (Array.isArray(value) ? value.map(convert) : value);
}

const ZEROS: Partial<Record<ScalarName, unknown>> = {
  string: "",
  int32: 0,
  int64: 0,
  double: 0,
  bool: false,
  base64: Buffer.alloc(0),
  json: valueFromJson(null),
};

/** What stands in proto for an item that is null; a message without fields where it is none of these. */
function zeroOf(item: TypeModel): unknown {
  return (item.kind === "scalar" ? ZEROS[item.scalar] : undefined) ?? {};
}

/** Most lists hold no null and need no conversion: they are passed on as they are. */
function sparseListConvert(convert: Convert, zero: unknown): Convert {
  return (value) => {
    const list = value as unknown[];
    if (convert === identity && !list.includes(null)) return list;
    return list.map((item) => (item === null ? zero : convert(item)));
  };
}

function mapConvert(convert: Convert): Convert {
  if (convert === identity) return identity;
  return (value) => {
    const map: Fields = {};
    for (const key of Object.keys(value as Fields)) setOwn(map, key, convert((value as Fields)[key]));
    return map;
  };
}
