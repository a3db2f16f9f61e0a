import { createHash } from "node:crypto";
import { createReadStream, type Dirent } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rm, stat, truncate } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

const FILES_FOLDER = "files";
/** As the offline store calls what it is still writing. */
const HIDDEN = ".writing-";
const FILE_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NAMESPACE = /^[a-z0-9][a-z0-9._-]*$/;
const READ_BYTES = 1024 * 1024;

/** What stands on the disk of files. Nothing in a path is of a client's choosing but the namespace, whose name is checked. */
export interface FileFolder {
  /** Absolute. */
  pathOf(namespace: string, fileId: string): string;
  /** Undefined where it is not there. */
  sizeOf(namespace: string, fileId: string): Promise<number | undefined>;
  /** Resolves once the bytes are on the disk. What stood there before is overwritten. */
  write(namespace: string, fileId: string, offset: number, bytes: Buffer): Promise<void>;
  /** Fewer bytes than asked for at the end. */
  read(namespace: string, fileId: string, offset: number, length: number): Promise<Buffer>;
  /** Its bytes from the beginning, in steps. */
  chunks(namespace: string, fileId: string, signal?: AbortSignal): AsyncIterable<Buffer>;
  cut(namespace: string, fileId: string, sizeBytes: number): Promise<void>;
  sha256(namespace: string, fileId: string, signal?: AbortSignal): Promise<string>;
  remove(namespace: string, fileId: string): Promise<void>;
  /** Files, finished or not, to which nothing was written since `beforeMs`. */
  olderThan(beforeMs: number): AsyncIterable<{ readonly fileId: string; readonly path: string }>;
}

export function createFileFolder(featuresDir: string): FileFolder {
  const root = join(resolve(featuresDir), FILES_FOLDER);
  const pathOf = (namespace: string, fileId: string) => {
    // Both were checked when they were given; a path is worth a second look.
    if (!NAMESPACE.test(namespace) || !FILE_ID.test(fileId)) throw new RangeError("A name cannot be a path.");
    return join(root, namespace, fileId);
  };
  const chunks: FileFolder["chunks"] = (namespace, fileId, signal) =>
    createReadStream(pathOf(namespace, fileId), { highWaterMark: READ_BYTES, signal });

  return {
    pathOf,
    chunks,
    async sizeOf(namespace, fileId) {
      return (await stat(pathOf(namespace, fileId)).catch(() => undefined))?.size;
    },
    async write(namespace, fileId, offset, bytes) {
      const path = pathOf(namespace, fileId);
      if (offset === 0) await mkdir(dirname(path), { recursive: true });
      await withFile(path, offset === 0 ? "w" : "r+", async (file) => {
        for (let done = 0; done < bytes.length; ) {
          done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
        }
        await file.datasync();
      });
      if (offset === 0) await withFile(dirname(path), "r", (folder) => folder.sync());
    },
    read: (namespace, fileId, offset, length) =>
      withFile(pathOf(namespace, fileId), "r", async (file) => {
        const bytes = Buffer.alloc(length);
        let done = 0;
        while (done < length) {
          const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return bytes.subarray(0, done);
      }),
    cut: (namespace, fileId, sizeBytes) => truncate(pathOf(namespace, fileId), sizeBytes),
    async sha256(namespace, fileId, signal) {
      const hash = createHash("sha256");
      for await (const chunk of chunks(namespace, fileId, signal)) hash.update(chunk);
      return hash.digest("hex");
    },
    remove: (namespace, fileId) => rm(pathOf(namespace, fileId), { force: true }),
    async *olderThan(beforeMs) {
      for (const namespace of await entriesOf(root)) {
        for (const { name } of await entriesOf(join(root, namespace.name))) {
          const fileId = name.startsWith(HIDDEN) ? name.slice(HIDDEN.length) : name;
          const path = join(root, namespace.name, name);
          const found = FILE_ID.test(fileId) ? await stat(path).catch(() => undefined) : undefined;
          if (found !== undefined && found.mtimeMs < beforeMs) yield { fileId, path };
        }
      }
    },
  };
}

async function withFile<T>(path: string, flags: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags, 0o640);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Nothing where the folder is not there. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}
