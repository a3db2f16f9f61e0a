import type { AnyOperation } from "../core/operation.ts";
import type { ContractModel, TypeModel } from "./model.ts";
import { protoFileName, splitGrpcName } from "./names.ts";

/** Holds what more than one service uses. */
export const SHARED_PROTO_FILE = "types.proto";

export interface Placement {
  /** The operations of each gRPC service, both in the order of the registry. */
  readonly services: ReadonlyMap<string, readonly AnyOperation[]>;
  /** The ids of the messages, unions and enums of a file, in the order in which operations reach them. */
  typesOf(file: string): readonly string[];
  /** Whether a service's file uses types of the shared one. */
  shares(file: string): boolean;
}

/** Decides which file each type stands in: that of the one service using it, else the shared one. */
export function placeTypes(model: ContractModel): Placement {
  const services = new Map<string, AnyOperation[]>();
  const usedBy = new Map<string, Set<string>>();
  for (const operation of model.operations) {
    const { service } = splitGrpcName(operation.grpc);
    services.set(service, [...(services.get(service) ?? []), operation]);
    for (const root of [model.input(operation).id, model.output(operation).id]) reach(root, service);
  }

  function reach(id: string, service: string): void {
    const users = usedBy.get(id) ?? new Set();
    usedBy.set(id, users);
    if (users.has(service)) return;
    users.add(service);
    for (const next of directReferences(id, model)) reach(next, service);
  }

  const files = new Map<string, string[]>();
  for (const [id, users] of usedBy) {
    const [only] = users;
    const file = users.size === 1 ? protoFileName(only!) : SHARED_PROTO_FILE;
    files.set(file, [...(files.get(file) ?? []), id]);
  }
  const typesOf = (file: string) => files.get(file) ?? [];
  const shared = new Set(typesOf(SHARED_PROTO_FILE));
  const sharing = new Set<string>();
  for (const [service, operations] of services) {
    const file = protoFileName(service);
    const roots = operations.flatMap((operation) => [model.input(operation).id, model.output(operation).id]);
    const inner = typesOf(file).flatMap((id) => directReferences(id, model));
    if ([...roots, ...inner].some((id) => shared.has(id))) sharing.add(file);
  }
  return { services, typesOf, shares: (file) => sharing.has(file) };
}

function directReferences(id: string, model: ContractModel): string[] {
  const union = model.unions.get(id);
  if (union) return union.members.map((member) => member.message);
  return (model.messages.get(id)?.fields ?? []).flatMap((field) => typeIds(field.type));
}

function typeIds(type: TypeModel): string[] {
  switch (type.kind) {
    case "enum":
    case "message":
    case "union":
      return [type.id];
    case "list":
      return typeIds(type.item);
    case "map":
      return typeIds(type.value);
    default:
      return [];
  }
}
