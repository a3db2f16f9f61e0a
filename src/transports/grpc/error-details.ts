import protobuf from "protobufjs";
import type { AppError } from "../../core/errors.ts";
import { addGoogleRpc } from "./google-rpc.ts";
import { GRPC_STATUS, statusMessage } from "./status.ts";

/** Who names the reasons, so that a program does not take another service's for ours. */
export const ERROR_DOMAIN = "tarl.dev";

/** Trailers are base64 of this; many clients refuse more than 8 KiB of them. */
const MAX_DETAILS_BYTES = 3072;

/** Encodes an error as the google.rpc.Status that goes into `grpc-status-details-bin`. */
export type ErrorDetailsEncoder = (error: AppError) => Buffer;

export function createErrorDetailsEncoder(): ErrorDetailsEncoder {
  const root = new protobuf.Root();
  addGoogleRpc(root);
  const status = root.lookupType("google.rpc.Status");

  function any(name: string, fields: object): object {
    const type = root.lookupType(`google.rpc.${name}`);
    return {
      type_url: `type.googleapis.com/google.rpc.${name}`,
      value: type.encode(type.fromObject(fields)).finish(),
    };
  }

  return (error) => {
    const details: object[] = [];
    let remaining = MAX_DETAILS_BYTES;
    // The reason comes first and always fits; what else there is follows while there is room.
    for (const [name, fields] of detailsOf(error)) {
      const detail = any(name, fields) as { value: Uint8Array };
      if (detail.value.length > remaining) continue;
      remaining -= detail.value.length;
      details.push(detail);
    }
    const message = { code: GRPC_STATUS[error.code], message: statusMessage(error.message), details };
    return Buffer.from(status.encode(status.fromObject(message)).finish());
  };
}

function* detailsOf(error: AppError): Generator<[name: string, fields: object]> {
  const { fields, quota, metadata } = error.details;
  yield ["ErrorInfo", { reason: error.reason, domain: ERROR_DOMAIN, metadata: boundedMetadata(metadata) }];
  if (error.retryAfterMs !== undefined) {
    const ms = Math.max(0, Math.ceil(error.retryAfterMs));
    yield ["RetryInfo", { retry_delay: { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 } }];
  }
  if (quota) yield ["QuotaFailure", { violations: [{ subject: quota.subject, description: quota.description }] }];
  if (fields?.length) yield ["BadRequest", { field_violations: boundedViolations(fields) }];
}

const MAX_METADATA_BYTES = 1024;
const MAX_VIOLATIONS_BYTES = 1536;

function boundedMetadata(metadata: Readonly<Record<string, string>> = {}): Record<string, string> {
  let remaining = MAX_METADATA_BYTES;
  const kept: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    remaining -= Buffer.byteLength(key) + Buffer.byteLength(value) + 8;
    if (remaining < 0) break;
    kept[key] = value.toWellFormed();
  }
  return kept;
}

function boundedViolations(
  fields: readonly { readonly field: string; readonly message: string }[],
): { field: string; description: string }[] {
  let remaining = MAX_VIOLATIONS_BYTES;
  const kept: { field: string; description: string }[] = [];
  for (const { field, message } of fields) {
    remaining -= Buffer.byteLength(field) + Buffer.byteLength(message) + 8;
    if (remaining < 0) {
      kept.push({ field: "", description: `and ${fields.length - kept.length} more` });
      break;
    }
    kept.push({ field: field.toWellFormed(), description: message.toWellFormed() });
  }
  return kept;
}
