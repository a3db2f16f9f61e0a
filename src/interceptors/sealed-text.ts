import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const CIPHER = "aes-256-gcm";
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const PURPOSE = "tarl idempotent answer";

/**
 * Encrypts `text` so that only who knows `passphrase` can read it, bound to `context`. It is as
 * strong as the passphrase is hard to guess.
 */
export function sealText(text: string, passphrase: string, context: Buffer): Buffer {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyFrom(passphrase, salt), nonce).setAAD(context);
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([salt, nonce, cipher.getAuthTag(), sealed]);
}

/** Throws where the passphrase or the context is another one, or the bytes were changed. */
export function openText(bytes: Buffer, passphrase: string, context: Buffer): string {
  const nonceAt = SALT_BYTES;
  const tagAt = nonceAt + NONCE_BYTES;
  const textAt = tagAt + TAG_BYTES;
  const key = keyFrom(passphrase, bytes.subarray(0, nonceAt));
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(nonceAt, tagAt), { authTagLength: TAG_BYTES })
    .setAAD(context)
    .setAuthTag(bytes.subarray(tagAt, textAt));
  return Buffer.concat([decipher.update(bytes.subarray(textAt)), decipher.final()]).toString("utf8");
}

function keyFrom(passphrase: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", passphrase, salt, PURPOSE, KEY_BYTES));
}
