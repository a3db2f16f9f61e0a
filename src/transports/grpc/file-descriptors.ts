import { createRequire } from "node:module";
import { join } from "node:path";
import { protoPath as healthProtoPath } from "grpc-health-check";
import protobuf from "protobufjs";
import descriptor, { type IDescriptorProto, type IFileDescriptorProto } from "protobufjs/ext/descriptor.js";
import { addGoogleRpc } from "./google-rpc.ts";

const { resolve } = createRequire(import.meta.url);

/** What the gateway serves beside its own protos, under the names that clients import them by. */
const BUNDLED: Readonly<Record<string, string>> = {
  "grpc/health/v1/health.proto": healthProtoPath,
  "grpc/reflection/v1/reflection.proto": resolve("@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto"),
  "grpc/reflection/v1alpha/reflection.proto": resolve(
    "@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto",
  ),
};

interface File {
  readonly package: string;
  readonly dependencies: Set<string>;
  readonly messages: IDescriptorProto[];
  readonly enums: object[];
  readonly services: object[];
}

/**
 * The FileDescriptorProtos of `protos` (names relative to `protoDir`), of health and of reflection,
 * with all that they import. proto-loader offers some of its own, but merges the files of a
 * package and leaves out imports, original field names and presence: most clients refuse those.
 */
export function fileDescriptors(protoDir: string, protos: readonly string[]): Buffer[] {
  const pathOf = (name: string) => BUNDLED[name] ?? (protobuf.common.get(name) ? name : join(protoDir, name));
  const names = [...protos, ...Object.keys(BUNDLED)];
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => pathOf(target);
  // With these, clients can show the details of errors as text.
  addGoogleRpc(root);
  root.loadSync(names, { keepCase: true });
  root.resolveAll();

  const nameByPath = new Map(names.map((name) => [pathOf(name), name]));
  const files = new Map<string, File>();
  for (const object of objectsIn(root)) addObject(object, files, (other) => fileName(other, nameByPath));
  return [...files].map(([name, file]) => encodeFile(name, file));
}

type Definition = protobuf.Type | protobuf.Enum | protobuf.Service;

/** Messages, enums and services at the top of a file; what is nested in a message belongs to it. */
function* objectsIn(namespace: protobuf.NamespaceBase): Generator<Definition> {
  for (const object of namespace.nestedArray) {
    if (object instanceof protobuf.Type || object instanceof protobuf.Enum || object instanceof protobuf.Service) {
      yield object;
    } else if (object instanceof protobuf.Namespace) {
      yield* objectsIn(object);
    }
  }
}

function addObject(object: Definition, files: Map<string, File>, nameOf: (other: Definition) => string): void {
  const name = nameOf(object);
  let file = files.get(name);
  if (!file) {
    const packageName = object.fullName.slice(1, -object.name.length - 1);
    file = { package: packageName, dependencies: new Set(), messages: [], enums: [], services: [] };
    files.set(name, file);
  }
  const { dependencies } = file;
  const reference = (other: Definition | null): string => {
    if (!other) throw new Error(`A type that ${object.fullName} uses could not be found.`);
    const dependency = nameOf(other);
    if (dependency !== name) dependencies.add(dependency);
    return other.fullName;
  };
  if (object instanceof protobuf.Type) {
    file.messages.push(messageDescriptor(object, reference));
  } else if (object instanceof protobuf.Enum) {
    file.enums.push(object.toDescriptor());
  } else {
    for (const { resolvedRequestType, resolvedResponseType } of object.methodsArray) {
      reference(resolvedRequestType);
      reference(resolvedResponseType);
    }
    file.services.push(object.toDescriptor());
  }
}

/** protobufjs's descriptor, with full type names, the entries of maps named as protoc names them, and oneofs in order. */
function messageDescriptor(type: protobuf.Type, reference: (other: Definition | null) => string): IDescriptorProto {
  const message = type.toDescriptor("proto3") as IDescriptorProto;
  const entries: IDescriptorProto[] = [];
  for (const field of message.field ?? []) {
    const source = type.fieldsById[field.number!]!;
    const isReference = source.resolvedType !== null;
    if (source instanceof protobuf.MapField) {
      const entry = message.nestedType?.find((nested) => nested.options?.mapEntry && nested.name === field.typeName);
      if (!entry) throw new Error(`The map ${source.fullName} has no entry type.`);
      entry.name = `${upperCamel(source.name)}Entry`;
      if (isReference) entry.field![1]!.typeName = reference(source.resolvedType);
      field.typeName = `${type.fullName}.${entry.name}`;
      entries.push(entry);
    } else if (isReference) {
      field.typeName = reference(source.resolvedType);
    }
  }
  const nested = type.nestedArray.filter((object) => object instanceof protobuf.Type);
  message.nestedType = [...nested.map((object) => messageDescriptor(object, reference)), ...entries];
  putSyntheticOneofsLast(message);
  return message;
}

function putSyntheticOneofsLast(message: IDescriptorProto): void {
  const oneofs = message.oneofDecl ?? [];
  const synthetic = new Set<number>();
  for (const field of message.field ?? []) if (field.proto3Optional) synthetic.add(field.oneofIndex!);
  const indexes = oneofs.map((_, index) => index);
  const order = [...indexes.filter((i) => !synthetic.has(i)), ...indexes.filter((i) => synthetic.has(i))];
  message.oneofDecl = order.map((index) => oneofs[index]!);
  for (const field of message.field ?? []) {
    // Descriptors that protobufjs makes inherit an index of 0, which would put every field into a oneof.
    if (Object.hasOwn(field, "oneofIndex")) field.oneofIndex = order.indexOf(field.oneofIndex!);
  }
}

function fileName(object: Definition, nameByPath: ReadonlyMap<string, string>): string {
  if (object.parent instanceof protobuf.Type) return fileName(object.parent, nameByPath);
  const loaded = object.filename === null ? undefined : (nameByPath.get(object.filename) ?? object.filename);
  return loaded ?? commonFileName(object);
}

/** Google's well-known types come with protobufjs and do not say which file they are from. */
function commonFileName(object: Definition): string {
  const name = Object.keys(protobuf.common).find((file) => {
    const nested = protobuf.common.get(file)?.nested as { google?: protobuf.INamespace } | undefined;
    const types = (nested?.google?.nested?.protobuf as protobuf.INamespace | undefined)?.nested;
    return object.fullName.startsWith(".google.protobuf.") && types?.[object.name];
  });
  if (!name) throw new Error(`The file that declares ${object.fullName} is not known.`);
  return name;
}

function encodeFile(name: string, file: File): Buffer {
  const message: IFileDescriptorProto = {
    name,
    package: file.package,
    dependency: [...file.dependencies].sort(),
    messageType: file.messages,
    enumType: file.enums,
    service: file.services,
    syntax: "proto3",
  };
  return Buffer.from(descriptor.FileDescriptorProto.encode(message as never).finish());
}

function upperCamel(name: string): string {
  return name.replace(/(^|_)([a-z0-9])/g, (_, __, character: string) => character.toUpperCase());
}
