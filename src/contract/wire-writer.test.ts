import fc from "fast-check";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import { WireWriter } from "./wire-writer.ts";

type Piece =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "doubles"; readonly value: readonly number[] }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "nested"; readonly value: readonly Piece[] };

const nearEdges = fc.constantFrom(
  0,
  127,
  128,
  16_383,
  16_384,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  -1,
  1 - 2 ** 53,
);
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .tuple(fc.constantFrom("a", "ä", "€", "😀"), fc.constantFrom(1, 41, 42, 43, 127, 128, 20_000))
    .map(([unit, count]) => unit.repeat(count)),
);
const { piece } = fc.letrec<{ piece: Piece }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 4 },
    fc.record({ kind: fc.constant("int" as const), value: fc.oneof(nearEdges, fc.maxSafeInteger()) }),
    fc.record({ kind: fc.constant("double" as const), value: fc.double() }),
    fc.record({ kind: fc.constant("doubles" as const), value: fc.array(fc.double(), { maxLength: 40 }) }),
    fc.record({ kind: fc.constant("text" as const), value: text }),
    fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ kind: fc.constant("nested" as const), value: fc.array(tie("piece"), { maxLength: 8 }) }),
  ),
}));

function write(writer: WireWriter, { kind, value }: Piece): void {
  if (kind === "int") writer.varint(value);
  else if (kind === "double") writer.double(value);
  else if (kind === "doubles") writer.packedDoubles(value);
  else if (kind === "text") writer.text(value);
  else if (kind === "bytes") writer.bytes(value);
  else {
    const begun = writer.begin();
    for (const part of value) write(writer, part);
    writer.end(begun);
  }
}

function writeByProtobufjs(writer: protobuf.Writer, { kind, value }: Piece): void {
  if (kind === "int") writer.int64(value);
  else if (kind === "double") writer.double(value);
  else if (kind === "text") writer.string(value);
  else if (kind === "bytes") writer.bytes(value);
  else {
    writer.fork();
    if (kind === "doubles") for (const number of value) writer.double(number);
    else for (const part of value) writeByProtobufjs(writer, part);
    writer.ldelim();
  }
}

test("messages one after the other are the bytes that protobufjs writes", () => {
  const ours = new WireWriter();
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const theirs = protobuf.Writer.create();
      for (const one of pieces) write(ours, one);
      for (const one of pieces) writeByProtobufjs(theirs, one);
      expect(ours.finish()).toEqual(Buffer.from(theirs.finish()));
    }),
  );
});

test("a message larger than what is kept leaves nothing to the next one, nor does one that was not ended", () => {
  const writer = new WireWriter();
  writer.bytes(new Uint8Array(3 * 1024 * 1024));
  expect(writer.finish()).toHaveLength(3 * 1024 * 1024 + 4);
  writer.text("half");
  writer.reset();
  writer.varint(7);
  expect(writer.finish()).toEqual(Buffer.of(7));
});
