import type { StatusObject } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { addGoogleRpc } from "../google-rpc.ts";

/** The details of a failed call by the names of their messages, as a client reads them. */
export function richStatus(status: Pick<StatusObject, "metadata">): Record<string, Record<string, unknown>> {
  const root = new protobuf.Root();
  addGoogleRpc(root);
  const [bytes] = status.metadata.get("grpc-status-details-bin");
  const decoded = root.lookupType("google.rpc.Status").decode(bytes as Buffer) as unknown as {
    details: { type_url: string; value: Uint8Array }[];
  };
  return Object.fromEntries(
    decoded.details.map(({ type_url, value }) => {
      const name = type_url.replace("type.googleapis.com/", "");
      const type = root.lookupType(name);
      return [name.replace("google.rpc.", ""), type.toObject(type.decode(value), { longs: Number })];
    }),
  );
}
