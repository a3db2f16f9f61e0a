import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, invalidArgument } from "../../core/errors.ts";
import { bodyTooLarge } from "../http/http-error.ts";
import { type ReadBytesOptions, readBytes } from "../http/read-bytes.ts";
import { findJsonSyntaxError } from "./json-syntax.ts";
import { unsupportedMediaType } from "./refusals.ts";

const JSON_TYPE = /^application\/json *(?:; *charset *= *"?utf-8"? *)?$/i;

/** Whether the request announces a body; one of no bytes is none. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return length === undefined ? request.headers["transfer-encoding"] !== undefined : length !== "0";
}

function checkMediaType(request: IncomingMessage): void {
  const type = request.headers["content-type"];
  if (type !== undefined && type !== "application/json" && !JSON_TYPE.test(type)) {
    throw unsupportedMediaType(
      `The body is "${type.slice(0, 100)}", but only JSON in UTF-8 is read here. Send Content-Type: application/json.`,
    );
  }
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw unsupportedMediaType("The body is compressed. Send it as it is, without Content-Encoding.");
  }
}

function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw invalidArgument([{ field: "", message: "The body is not valid UTF-8." }]);
  const text = bytes.toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const { position, line, column, expected } = findJsonSyntaxError(text);
    throw new AppError(
      "INVALID_ARGUMENT",
      "MALFORMED_JSON",
      `The body is not valid JSON at position ${position} (line ${line}, column ${column}): expected ${expected}.`,
    );
  }
  return value;
}

/** Reads a JSON object; no body at all is the empty object. */
export async function readJsonBody(
  request: IncomingMessage,
  response: ServerResponse,
  options: ReadBytesOptions,
): Promise<Record<string, unknown>> {
  if (!hasBody(request)) return {};
  checkMediaType(request);
  if (Number(request.headers["content-length"]) > options.maxBytes) throw bodyTooLarge(options.maxBytes);
  if (request.headers.expect !== undefined) response.writeContinue();
  const bytes = await readBytes(request, options);
  if (bytes.length === 0) return {};
  const value = parseJson(bytes);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidArgument([{ field: "", message: "The body must be a JSON object." }]);
  }
  return value as Record<string, unknown>;
}
