import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** Makes `<name>.key` and `<name>.crt` in `folder`, for localhost and signed by the issuer, or an authority signed by itself. */
export async function createCertificate(folder: string, name: string, issuer?: string): Promise<void> {
  const openssl = (...parameters: string[]) => promisify(execFile)("openssl", parameters, { cwd: folder });
  const extensions = issuer ? "subjectAltName=DNS:localhost,IP:127.0.0.1" : "basicConstraints=critical,CA:TRUE";
  writeFileSync(join(folder, `${name}.ext`), extensions);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
  await openssl("req", "-new", "-subj", `/CN=${name}`, ...key, "-out", `${name}.csr`);
  const signer = issuer
    ? ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"]
    : ["-signkey", `${name}.key`];
  const out = ["-days", "1", "-extfile", `${name}.ext`, "-out", `${name}.crt`];
  await openssl("x509", "-req", "-in", `${name}.csr`, ...signer, ...out);
}
