import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import descriptor, {
  type IDescriptorProto,
  type IFileDescriptorProto,
  type IFileDescriptorSet,
} from "protobufjs/ext/descriptor.js";
import { expect, test } from "vitest";
import { fileDescriptors } from "./file-descriptors.ts";
import { BUF } from "./testing/buf.ts";

const FOLDER = join(import.meta.dirname, "testing/rich-protos");
const PROTOS = ["tarl/v1/priority.proto", "tarl/v1/rich.proto"];

/** A file as plain JSON, without what compilers are free to do: order, comments, derivable JSON names. */
function plain(file: IFileDescriptorProto): object {
  const { messageType, dependency, syntax, ...rest } = json(file) as IFileDescriptorProto;
  const { sourceCodeInfo: _, ...known } = rest;
  return { ...known, dependency: dependency?.toSorted(), messageType: messages(messageType), syntax };
}

function messages(list: IDescriptorProto[] | null | undefined): object[] {
  return (list ?? [])
    .map(({ field, nestedType, ...rest }) => ({
      ...rest,
      field: (field ?? []).map(({ jsonName: _, options: __, ...known }) => known).sort((a, b) => a.number! - b.number!),
      nestedType: messages(nestedType),
    }))
    .sort((a, b) => String(a.name).localeCompare(String(b.name)));
}

function json(file: IFileDescriptorProto): unknown {
  return JSON.parse(JSON.stringify(file));
}

test("describes the protos as a real compiler does, and what they import", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [BUF, "build", FOLDER, "-o", "-"], {
    encoding: "buffer",
    timeout: 20_000,
  });
  const compiled = (descriptor.FileDescriptorSet.decode(stdout) as unknown as IFileDescriptorSet).file ?? [];
  const ours = fileDescriptors(FOLDER, PROTOS).map(
    (bytes) => descriptor.FileDescriptorProto.decode(bytes) as IFileDescriptorProto,
  );

  for (const name of PROTOS) {
    const expected = compiled.find((file) => file.name === name)!;
    const actual = ours.find((file) => file.name === name)!;
    expect(plain(actual)).toEqual(plain(expected));
  }
  const names = new Set(ours.map(({ name }) => name));
  for (const { dependency } of ours) for (const name of dependency ?? []) expect(names).toContain(name);
});
