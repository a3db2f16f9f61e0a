import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { IdGenerator } from "../../core/ids.ts";

/** tarl_<12: id>_<43: secret, 256 bits>_<8: CRC-32 of all before it>. */
const PATTERN = /^tarl_[0-9a-z]{12}_[A-Za-z0-9_-]{43}_[0-9a-f]{8}$/;
export const KEY_PREFIX = "tarl_";
export const KEY_CHARACTERS = 70;
const ID_CHARACTERS = 12;
const ID_END = KEY_PREFIX.length + ID_CHARACTERS;
const SECRET_END = ID_END + 1 + 43;
const SECRET_BYTES = 32;
/** 32 letters that are not taken for each other, so each random byte gives five bits. */
const ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

export function newKeyId(ids: IdGenerator): string {
  const random = Buffer.from(ids.token(ID_CHARACTERS), "base64url");
  return Array.from(random, (byte) => ID_ALPHABET[byte & 31]).join("");
}

/** The text of a key with a new secret. */
export function newKeyText(keyId: string, ids: IdGenerator): string {
  const body = `${KEY_PREFIX}${keyId}_${ids.token(SECRET_BYTES)}`;
  return `${body}_${checksum(body)}`;
}

/** Whether `text` could be a key at all. Typing errors and junk fail here, without a look into the database. */
export function isKeyText(text: string): boolean {
  return text.length === KEY_CHARACTERS && PATTERN.test(text) && checksum(text.slice(0, SECRET_END)) === text.slice(-8);
}

export function keyIdOf(text: string): string {
  return text.slice(KEY_PREFIX.length, ID_END);
}

/** What is stored of a key, checksum and all. It has 256 random bits, so a slow hash would only slow down the gateway. */
export function hashSecret(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, "0");
}
