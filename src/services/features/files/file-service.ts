import { z } from "zod";
import type { Call } from "../../../core/call.ts";
import { AppError, notFound } from "../../../core/errors.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import { createPageTokens } from "../../../core/page.ts";
import type { Duckdb } from "../../../platform/duckdb/duckdb.ts";
import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import type { StorageGuard } from "../ingestion/storage-guard.ts";
import { checkFile } from "./file-check.ts";
import type { FileFolder } from "./file-folder.ts";
import type * as model from "./file-model.ts";
import * as store from "./file-store.ts";

export interface FileServiceOptions {
  readonly database: Database;
  readonly folder: FileFolder;
  /** Reads what others wrote: not the one that reads the history. */
  readonly duckdb: Duckdb;
  readonly checkStorage: StorageGuard;
  readonly ids: IdGenerator;
}

/** Files with rows, on their way in and out. */
export interface FileService {
  create(request: model.CreateFeatureFileRequest, call: Call): Promise<model.FeatureFile>;
  append(request: model.AppendFeatureFileRequest, call: Call): Promise<model.FeatureFile>;
  finish(request: model.FinishFeatureFileRequest, call: Call): Promise<model.FeatureFile>;
  read(request: model.ReadFeatureFileRequest): Promise<model.ReadFeatureFileResponse>;
  get(request: model.GetFeatureFileRequest): Promise<model.FeatureFile>;
  list(request: model.ListFeatureFilesRequest): Promise<{ featureFiles: model.FeatureFile[]; nextPageToken?: string }>;
  delete(request: model.DeleteFeatureFileRequest): Promise<void>;
}

/** Above this a file is better divided. */
const MAX_FILE_BYTES = 4 * 1024 ** 3;
/** Of one namespace. */
export const MAX_FILES = 10_000;

const PageToken = z.uuid();

export function createFileService(options: FileServiceOptions): FileService {
  const { database, folder, checkStorage, ids } = options;

  return {
    async create({ namespace, name, format, keepMs }, { principal }) {
      const file = {
        ...{ fileId: ids.uuid(), namespace, name, format, keepMs, createdBy: principal.id },
        ...{ state: "UPLOADING" as const, sizeBytes: 0, sha256: null, jobId: null },
      };
      return describeFile((await store.insertFile(database, file, MAX_FILES)) ?? refuseMore(namespace));
    },

    async append({ namespace, fileId, offset, data }, call) {
      const bytes = Buffer.from(data, "base64");
      await checkStorage(call, bytes.length);
      // The lock is what makes two appends at once one after the other, whichever gateways they come to.
      return database.transaction(async (transaction) => {
        const file = (await store.lockFile(transaction, namespace, fileId)) ?? missing(fileId);
        if (await isRepeat(folder, file, offset, bytes)) return describeFile(file);
        if (file.state !== "UPLOADING") throw wrongState(file, "It is finished and does not change any more");
        if (offset !== file.sizeBytes) throw wrongOffset(file);
        const sizeBytes = offset + bytes.length;
        if (sizeBytes > MAX_FILE_BYTES) throw tooLong(file);
        await requireContent(folder, file);
        await folder.write(namespace, fileId, offset, bytes);
        return describeFile(await store.growFile(transaction, fileId, sizeBytes));
      });
    },

    async finish({ namespace, fileId, sha256 }, { signal }) {
      const file = await database.transaction(async (transaction) => {
        const locked = (await store.lockFile(transaction, namespace, fileId)) ?? missing(fileId);
        if (locked.sizeBytes === 0) throw wrongState(locked, "It is empty: append to it first");
        await requireContent(folder, locked);
        // What a gateway that died wrote and did not acknowledge is no part of it.
        if (locked.state === "UPLOADING") await folder.cut(namespace, fileId, locked.sizeBytes);
        return locked;
      });
      if (file.state === "READY") {
        if (sha256 !== undefined && sha256 !== file.sha256) throw wrongHash(file.sha256!);
        return describeFile(file);
      }
      await checkFile(options, file, signal);
      const found = await folder.sha256(namespace, fileId, signal);
      if (sha256 !== undefined && sha256 !== found) throw wrongHash(found);
      const settled = await store.settleFile(database, fileId, file.sizeBytes, found);
      if (settled !== undefined) return describeFile(settled);
      throw wrongState(file, "It was changed meanwhile: finish it when nothing is appended any more");
    },

    async read({ namespace, fileId, offset, length }) {
      const file = await getReady(database, namespace, fileId);
      await requireContent(folder, file);
      const bytes = await folder.read(
        namespace,
        fileId,
        offset,
        Math.min(length, Math.max(0, file.sizeBytes - offset)),
      );
      const end = offset + bytes.length;
      return {
        data: bytes.toString("base64"),
        sizeBytes: file.sizeBytes,
        ...(end < file.sizeBytes ? { nextOffset: end } : {}),
      };
    },

    async get({ namespace, fileId }) {
      return describeFile((await store.getFile(database, namespace, fileId)) ?? missing(fileId));
    },

    async list({ namespace, pageSize, pageToken }) {
      const tokens = createPageTokens(PageToken, ["featureFiles.list", namespace]);
      const found = await store.listFiles(database, namespace, tokens.decode(pageToken), pageSize + 1);
      const page = found.slice(0, pageSize);
      const featureFiles = page.map(describeFile);
      if (found.length <= pageSize) return { featureFiles };
      return { featureFiles, nextPageToken: tokens.encode(page.at(-1)!.fileId) };
    },

    async delete({ namespace, fileId }) {
      await database.transaction(async (transaction) => {
        const file = (await store.lockFile(transaction, namespace, fileId)) ?? missing(fileId);
        if (await store.isFileInUse(transaction, fileId)) {
          throw new AppError(
            "FAILED_PRECONDITION",
            "FILE_IN_USE",
            `A job reads file "${file.name}". Wait until it has ended, or cancel it.`,
          );
        }
        await store.deleteFile(transaction, fileId);
      });
      await folder.remove(namespace, fileId);
    },
  };
}

/** A file that may be read; NOT_FOUND or FAILED_PRECONDITION where there is none. */
export async function getReady(queryable: Queryable, namespace: string, fileId: string): Promise<store.StoredFile> {
  const file = (await store.getFile(queryable, namespace, fileId)) ?? missing(fileId);
  if (file.state === "READY") return file;
  throw new AppError(
    "FAILED_PRECONDITION",
    "FILE_NOT_READY",
    `File "${file.name}" is still being uploaded. Finish it first.`,
  );
}

/** Answers how a file stands, as clients see it. */
export function describeFile({ sha256, jobId, createdAt, expiresAt, ...file }: store.StoredFile): model.FeatureFile {
  return {
    ...file,
    ...(sha256 === null ? {} : { sha256 }),
    ...(jobId === null ? {} : { jobId }),
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  };
}

/** Whether these bytes are there already: their acknowledgement did not arrive, and the client sends them again. */
async function isRepeat(folder: FileFolder, file: store.StoredFile, offset: number, bytes: Buffer): Promise<boolean> {
  if (offset + bytes.length > file.sizeBytes) return false;
  await requireContent(folder, file);
  return bytes.equals(await folder.read(file.namespace, file.fileId, offset, bytes.length));
}

/** The folder is shared by all gateways, or should be. */
async function requireContent(folder: FileFolder, { namespace, fileId, sizeBytes }: store.StoredFile): Promise<void> {
  if (sizeBytes === 0 || ((await folder.sizeOf(namespace, fileId)) ?? -1) >= sizeBytes) return;
  throw new AppError(
    "FAILED_PRECONDITION",
    "FILE_CONTENT_LOST",
    "The content of the file is not in the gateway's folder for features. Gateways that share a database must share that folder; upload the file again.",
  );
}

export function refuseMore(namespace: string): never {
  throw new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_FILES",
    `Namespace "${namespace}" has ${MAX_FILES} feature files. Delete those that are not needed any more.`,
    { details: { quota: { subject: `namespaces/${namespace}`, description: "feature files" } } },
  );
}

function missing(fileId: string): never {
  throw notFound("feature file", fileId);
}

function wrongState({ name }: store.StoredFile, why: string): AppError {
  return new AppError("FAILED_PRECONDITION", "FILE_STATE", `File "${name}": ${why}.`);
}

function wrongOffset({ sizeBytes }: store.StoredFile): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "UPLOAD_OFFSET",
    `The file has ${sizeBytes} bytes, so the next ones must come at offset ${sizeBytes}.`,
    { details: { metadata: { expectedOffset: String(sizeBytes) } } },
  );
}

function tooLong({ name }: store.StoredFile): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "FILE_TOO_LARGE",
    `File "${name}" would be larger than ${MAX_FILE_BYTES} bytes. Divide it into several files.`,
  );
}

function wrongHash(found: string): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "FILE_HASH",
    `The file's SHA-256 is ${found}, not the one given: something else arrived. Delete it and upload it again.`,
    { details: { metadata: { sha256: found } } },
  );
}
