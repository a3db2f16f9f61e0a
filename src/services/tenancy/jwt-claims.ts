import type { JWTPayload } from "jose";
import { credentialsInvalid } from "./credentials-error.ts";

/** What a token says of who holds it. */
export interface HolderClaims {
  readonly subject: string;
  readonly displayName: string;
  readonly expiresAtMs: number;
  /** In order, once each. */
  readonly groups: readonly string[];
}

/** What role bindings can name; without line breaks. */
const NAME = /^[\x20-\x7e]{1,255}$/;
/** The last second that RFC 3339 can write. */
const MAX_TIME_SECONDS = 253_402_300_799;
const MAX_DISPLAY_NAME_CHARACTERS = 200;

/**
 * Reads the claims of a token whose signature, issuer, audience and times were found right. The types and
 * ranges that the check of those lets pass are refused here. Groups that cannot be bound are left out.
 */
export function readClaims(payload: JWTPayload, groupsClaim: string): HolderClaims {
  const { sub, aud, exp, nbf = 0, iat = 0 } = payload as Record<string, unknown>;
  const isAudience = typeof aud === "string" || (Array.isArray(aud) && aud.every((one) => typeof one === "string"));
  if (!isName(sub) || !isAudience || !isTime(exp) || !isTime(nbf) || !isTime(iat)) throw credentialsInvalid();
  return {
    subject: sub,
    displayName: displayNameOf(payload, sub),
    expiresAtMs: Math.floor(exp * 1000),
    groups: groupsOf(payload[groupsClaim]),
  };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && NAME.test(value);
}

/** Seconds since the epoch, which may have a fraction (RFC 7519 section 2). */
function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAX_TIME_SECONDS;
}

function groupsOf(claim: unknown): string[] {
  const groups: unknown[] = Array.isArray(claim) ? claim : [claim];
  return [...new Set(groups.filter(isName))].sort();
}

function displayNameOf(payload: JWTPayload, subject: string): string {
  const { name, preferred_username: userName, email } = payload as Record<string, unknown>;
  const shown = [name, userName, email].map((value) => (typeof value === "string" ? toShown(value) : ""));
  return shown.find((value) => value !== "") ?? subject.slice(0, MAX_DISPLAY_NAME_CHARACTERS);
}

function toShown(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, "")
    .slice(0, MAX_DISPLAY_NAME_CHARACTERS)
    .toWellFormed();
}
