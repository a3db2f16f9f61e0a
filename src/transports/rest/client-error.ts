import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { HttpError } from "../http/http-error.ts";
import type { RestContext } from "./context.ts";
import { PROBLEM_TYPE, toProblem } from "./problem.ts";

function refusalOf(errorCode: string | undefined): HttpError {
  if (errorCode === "HPE_HEADER_OVERFLOW") {
    return new HttpError(
      431,
      "INVALID_ARGUMENT",
      "HEADERS_TOO_LARGE",
      "The request's headers are too large. Send fewer or shorter ones.",
    );
  }
  if (errorCode === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new HttpError(
      408,
      "DEADLINE_EXCEEDED",
      "REQUEST_TOO_SLOW",
      "The request did not arrive in time. Send it again, faster.",
    );
  }
  return new HttpError(400, "INVALID_ARGUMENT", "MALFORMED_HTTP", "This is not a well-formed HTTP/1.1 request.");
}

/** Answers what Node's parser refused, before there was a request to answer. */
export function answerClientError(
  error: Error & { readonly code?: string },
  socket: Socket,
  { ids, onRefused }: Pick<RestContext, "ids" | "onRefused">,
): void {
  // Anything else, e.g. a failed TLS handshake, leaves nobody who could read an answer.
  const isHttp = /^(HPE_|ERR_HTTP_)/.test(error.code ?? "");
  // Node marks the socket with the answer it is in the middle of; a second status line inside that
  // would corrupt it. Node's own handler looks at the same mark.
  const current = (socket as Socket & { readonly _httpMessage?: { readonly headersSent: boolean } | null })
    ._httpMessage;
  if (!isHttp || !socket.writable || current?.headersSent) {
    socket.destroy();
    return;
  }
  const requestId = ids.uuid();
  const refusal = refusalOf(error.code);
  onRefused(refusal.code);
  const problem = toProblem(refusal, "", requestId);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? "Error"}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
