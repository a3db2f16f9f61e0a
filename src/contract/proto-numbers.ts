import protobuf from "protobufjs";

/** The numbers that one committed message or enum has given away. */
export interface CommittedNumbers {
  /** Name → number of what is there. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly reservedNumbers: readonly number[];
  readonly reservedNames: readonly string[];
}

const NOTHING: CommittedNumbers = { numbers: new Map(), reservedNumbers: [], reservedNames: [] };
/** Numbers that protobuf keeps for itself. */
const RESERVED_BY_PROTOBUF = { first: 19_000, last: 19_999 };

/** Reads the numbers out of committed .proto texts. Messages keep theirs when they move between files. */
export function readCommittedNumbers(texts: readonly string[]): (id: string) => CommittedNumbers {
  const known = new Map<string, CommittedNumbers>();
  for (const text of texts) {
    const { root, package: packageName } = protobuf.parse(text, new protobuf.Root(), { keepCase: true });
    const scope = packageName ? root.lookup(packageName) : root;
    for (const item of (scope as protobuf.Namespace).nestedArray) {
      if (item instanceof protobuf.Type) {
        known.set(
          item.name,
          committed(
            item.fieldsArray.map(({ name, id }) => [name, id]),
            item.reserved,
          ),
        );
      } else if (item instanceof protobuf.Enum) {
        known.set(item.name, committed(Object.entries(item.values), item.reserved));
      }
    }
  }
  return (id) => known.get(id) ?? NOTHING;
}

function committed(
  numbers: Iterable<[string, number]>,
  reserved: readonly (string | number[])[] = [],
): CommittedNumbers {
  const reservedNumbers: number[] = [];
  const reservedNames: string[] = [];
  for (const item of reserved) {
    if (typeof item === "string") reservedNames.push(item);
    else for (let number = item[0]!; number <= item[1]!; number++) reservedNumbers.push(number);
  }
  return { numbers: new Map(numbers), reservedNumbers, reservedNames };
}

/** The numbers that a message or enum has from now on. */
export interface AssignedNumbers {
  numberOf(name: string): number;
  readonly reservedNumbers: readonly number[];
  readonly reservedNames: readonly string[];
}

/**
 * Keeps every committed number, gives what is new the next one, and reserves what is gone. A number
 * is never given twice, so old clients never read one thing as another.
 */
export function assignNumbers(names: readonly string[], before: CommittedNumbers, first: number): AssignedNumbers {
  const wanted = new Set(names);
  const gone = [...before.numbers].filter(([name]) => !wanted.has(name));
  const reservedNumbers = sortedUnique([...before.reservedNumbers, ...gone.map(([, number]) => number)]);
  const reservedNames = [...new Set([...before.reservedNames, ...gone.map(([name]) => name)])].filter(
    (name) => !wanted.has(name),
  );
  let next = Math.max(first - 1, ...before.numbers.values(), ...reservedNumbers) + 1;
  const assigned = new Map<string, number>();
  for (const name of names) {
    const kept = before.numbers.get(name);
    if (kept === undefined && next === RESERVED_BY_PROTOBUF.first) next = RESERVED_BY_PROTOBUF.last + 1;
    assigned.set(name, kept ?? next++);
  }
  return { numberOf: (name) => assigned.get(name)!, reservedNumbers, reservedNames: reservedNames.sort() };
}

function sortedUnique(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}
