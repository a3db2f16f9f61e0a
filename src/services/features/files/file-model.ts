import { z } from "zod";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../../core/page.ts";
import { durationMs, enumeration, instant, message, namespaceField, text, uuidField } from "../../../core/schema.ts";

/** What one call appends or reads at most. */
export const MAX_CHUNK_BYTES = 1024 * 1024;
const MAX_CHUNK_CHARACTERS = 4 * Math.ceil(MAX_CHUNK_BYTES / 3);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** How long a file is kept where nothing else is said. */
export const DEFAULT_KEPT_MS = 7 * DAY_MS;
const MAX_KEPT_MS = 30 * DAY_MS;

export const FeatureFileFormat = enumeration("FeatureFileFormat", "What is in a file.", {
  PARQUET: "Apache Parquet.",
  CSV: "UTF-8 text (RFC 4180): a line with the columns' names, then one for each row; commas between values.",
  NDJSON: "UTF-8 text: one JSON object a line.",
});
export type FeatureFileFormat = z.output<typeof FeatureFileFormat>;

export const FeatureFileState = enumeration("FeatureFileState", "How far a file is.", {
  UPLOADING: "It is being appended to.",
  READY: "It is whole, is what its format says, and does not change any more.",
});
export type FeatureFileState = z.output<typeof FeatureFileState>;

const nameField = text(200, 1)
  .refine((name) => !/[/\\]/.test(name), { error: "must be the name of a file, without a path" })
  .describe("What people call it, e.g. `clicks-2026-01.parquet`.");
const sha256Field = z
  .string()
  .regex(/^[0-9a-f]{64}$/, { error: "must be a SHA-256 as 64 hexadecimal digits in lower case" });
const offsetField = z.int().min(0);

export const FeatureFile = message("FeatureFile", "A file with rows, uploaded or made by a job.", {
  namespace: namespaceField,
  fileId: uuidField("Its id."),
  name: nameField,
  format: FeatureFileFormat,
  state: FeatureFileState,
  sizeBytes: z.int().describe("How many bytes it has so far."),
  sha256: sha256Field.optional().describe("The SHA-256 of a READY file, as hexadecimal digits."),
  jobId: uuidField("The job that made it; absent where it was uploaded.").optional(),
  createdBy: z.string().describe("Who made it."),
  createdAt: instant("When it was made."),
  expiresAt: instant("When it is deleted by itself. As long as a job reads it, it stays."),
});
export type FeatureFile = z.output<typeof FeatureFile>;

const oneFile = { namespace: namespaceField, fileId: uuidField("The file.") };
const fileNow = { featureFile: FeatureFile.describe("The file as it is now.") };

export const CreateFeatureFileRequest = message("CreateFeatureFileRequest", "A file to upload.", {
  namespace: namespaceField,
  name: nameField,
  format: FeatureFileFormat,
  keepMs: durationMs(
    MINUTE_MS,
    MAX_KEPT_MS,
    "How long it is kept, from a minute to 30 days; 7 days where absent.",
  ).default(DEFAULT_KEPT_MS),
});
export type CreateFeatureFileRequest = z.output<typeof CreateFeatureFileRequest>;
export const CreateFeatureFileResponse = message("CreateFeatureFileResponse", "The new file, still empty.", fileNow);

export const AppendFeatureFileRequest = message("AppendFeatureFileRequest", "The next bytes of a file.", {
  ...oneFile,
  offset: offsetField.describe("Where in the file they begin: its `sizeBytes` so far."),
  data: z.base64().min(4).max(MAX_CHUNK_CHARACTERS).describe(`1 to ${MAX_CHUNK_BYTES} bytes.`),
});
export type AppendFeatureFileRequest = z.output<typeof AppendFeatureFileRequest>;
export const AppendFeatureFileResponse = message("AppendFeatureFileResponse", "The longer file.", fileNow);

export const FinishFeatureFileRequest = message("FinishFeatureFileRequest", "A file that is whole now.", {
  ...oneFile,
  sha256: sha256Field.optional().describe("What the SHA-256 of the whole file must be, as hexadecimal digits."),
});
export type FinishFeatureFileRequest = z.output<typeof FinishFeatureFileRequest>;
export const FinishFeatureFileResponse = message("FinishFeatureFileResponse", "The file, which is READY.", fileNow);

export const ReadFeatureFileRequest = message("ReadFeatureFileRequest", "Which bytes of which file.", {
  ...oneFile,
  offset: offsetField.default(0).describe("Where to begin."),
  length: z.int32().min(1).max(MAX_CHUNK_BYTES).default(MAX_CHUNK_BYTES).describe("How many bytes at most."),
});
export type ReadFeatureFileRequest = z.output<typeof ReadFeatureFileRequest>;
export const ReadFeatureFileResponse = message("ReadFeatureFileResponse", "Bytes of a file.", {
  data: z.base64().describe("The bytes; fewer than asked for only at the end, and none behind it."),
  sizeBytes: z.int().describe("How many bytes the whole file has."),
  nextOffset: z.int().optional().describe("Where to go on; absent at the end."),
});
export type ReadFeatureFileResponse = z.output<typeof ReadFeatureFileResponse>;

export const GetFeatureFileRequest = message("GetFeatureFileRequest", "Which file.", oneFile);
export type GetFeatureFileRequest = z.output<typeof GetFeatureFileRequest>;
export const GetFeatureFileResponse = message("GetFeatureFileResponse", "The file.", fileNow);

export const ListFeatureFilesRequest = message("ListFeatureFilesRequest", "One page of files, newest first.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListFeatureFilesRequest = z.output<typeof ListFeatureFilesRequest>;
export const ListFeatureFilesResponse = message("ListFeatureFilesResponse", "Files.", {
  featureFiles: z.array(FeatureFile).describe("Newest first."),
  nextPageToken: nextPageTokenField,
});

export const DeleteFeatureFileRequest = message("DeleteFeatureFileRequest", "Which file to delete.", oneFile);
export type DeleteFeatureFileRequest = z.output<typeof DeleteFeatureFileRequest>;
export const DeleteFeatureFileResponse = message("DeleteFeatureFileResponse", "What was deleted.", {
  fileId: uuidField("The file that was deleted."),
});
