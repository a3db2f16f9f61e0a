import { operation } from "../../../core/operation.ts";
import * as model from "./file-model.ts";
import type { FileService } from "./file-service.ts";

interface Files {
  readonly featureFiles: FileService;
}

const allFiles = "/v1/namespaces/{namespace}/featureFiles";
const oneFile = `${allFiles}/{fileId}`;

const createFile = operation({
  name: "featureFiles.create",
  summary: "Begins the upload of a file with rows: Parquet, CSV or NDJSON.",
  description: "Append its bytes, then finish it. What it takes counts to the namespace's maxStorageMb.",
  rest: `POST ${allFiles}`,
  grpc: "FeatureFileService/CreateFeatureFile",
  graphql: "mutation createFeatureFile",
  permission: "features.write",
  input: model.CreateFeatureFileRequest,
  output: model.CreateFeatureFileResponse,
  handle: async ({ featureFiles }: Files, input, call) => ({ featureFile: await featureFiles.create(input, call) }),
});

const appendFile = operation({
  name: "featureFiles.append",
  summary: "Appends bytes to a file that is being uploaded.",
  description:
    "When this answers, the bytes are durable. The same bytes at the same place again do no harm. FAILED_PRECONDITION with reason UPLOAD_OFFSET says where the next bytes must come, also in the metadata as `expectedOffset`: so an upload that broke off can go on.",
  rest: `POST ${oneFile}:append`,
  grpc: "FeatureFileService/AppendFeatureFile",
  graphql: "mutation appendFeatureFile",
  permission: "features.write",
  input: model.AppendFeatureFileRequest,
  output: model.AppendFeatureFileResponse,
  handle: async ({ featureFiles }: Files, input, call) => ({ featureFile: await featureFiles.append(input, call) }),
});

const finishFile = operation({
  name: "featureFiles.finish",
  summary: "Ends an upload: checks that the file is what its format says, and makes it READY.",
  description:
    "INVALID_ARGUMENT with reason FILE_UNREADABLE says that it is not, or that it would be far larger than it is once unpacked; FAILED_PRECONDITION with reason FILE_HASH that something else arrived. A READY file is answered as it is.",
  rest: `POST ${oneFile}:finish`,
  grpc: "FeatureFileService/FinishFeatureFile",
  graphql: "mutation finishFeatureFile",
  permission: "features.write",
  input: model.FinishFeatureFileRequest,
  output: model.FinishFeatureFileResponse,
  handle: async ({ featureFiles }: Files, input, call) => ({ featureFile: await featureFiles.finish(input, call) }),
});

const readFile = operation({
  name: "featureFiles.read",
  summary: "Answers bytes of a READY file, up to 1 MiB at a time.",
  rest: `GET ${oneFile}/content`,
  grpc: "FeatureFileService/ReadFeatureFile",
  graphql: "query featureFileContent",
  permission: "features.readValues",
  input: model.ReadFeatureFileRequest,
  output: model.ReadFeatureFileResponse,
  handle: ({ featureFiles }: Files, input) => featureFiles.read(input),
});

const getFile = operation({
  name: "featureFiles.get",
  summary: "Answers how a file stands.",
  rest: `GET ${oneFile}`,
  grpc: "FeatureFileService/GetFeatureFile",
  graphql: "query featureFile",
  permission: "features.read",
  input: model.GetFeatureFileRequest,
  output: model.GetFeatureFileResponse,
  handle: async ({ featureFiles }: Files, input) => ({ featureFile: await featureFiles.get(input) }),
});

const listFiles = operation({
  name: "featureFiles.list",
  summary: "Answers a page of files, newest first.",
  rest: `GET ${allFiles}`,
  grpc: "FeatureFileService/ListFeatureFiles",
  graphql: "query featureFiles",
  permission: "features.read",
  input: model.ListFeatureFilesRequest,
  output: model.ListFeatureFilesResponse,
  handle: ({ featureFiles }: Files, input) => featureFiles.list(input),
});

const deleteFile = operation({
  name: "featureFiles.delete",
  summary: "Deletes a file, uploaded or made by a job.",
  description: "FAILED_PRECONDITION with reason FILE_IN_USE says that a job reads it.",
  rest: `DELETE ${oneFile}`,
  grpc: "FeatureFileService/DeleteFeatureFile",
  graphql: "mutation deleteFeatureFile",
  permission: "features.write",
  input: model.DeleteFeatureFileRequest,
  output: model.DeleteFeatureFileResponse,
  handle: async ({ featureFiles }: Files, input) => {
    await featureFiles.delete(input);
    return { fileId: input.fileId };
  },
});

/** Everything clients can do with files of rows. */
export const fileOperations = [createFile, appendFile, finishFile, readFile, getFile, listFiles, deleteFile] as const;
