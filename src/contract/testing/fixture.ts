import { z } from "zod";
import { json } from "../../core/json.ts";
import { bidi, operation, serverStream } from "../../core/operation.ts";
import {
  durationMs,
  enumeration,
  identifier,
  instant,
  message,
  namespaceField,
  text,
  uuidField,
} from "../../core/schema.ts";
import type { AnyEdge } from "../edge.ts";

/** Operations that hold every row of the contract's table, for the tests of this folder. */
interface Services {
  readonly nothing: never;
}

const Priority = enumeration("JobPriority", "How urgent a job is.", {
  LOW: "It can wait.",
  HIGH: "It cannot.",
});
const Retry = message("JobRetry", "How a job is retried.", {
  maxAttempts: z.int32().min(1).max(100).default(3).describe("How often it is tried."),
  backoffMs: durationMs(0, 1000, "The pause between two attempts.").optional(),
});
export const Job = message("Job", "A piece of work.", {
  id: uuidField("The job's id."),
  namespace: namespaceField,
  workerId: identifier(64).optional().describe("Who has it."),
  parentIds: z.array(uuidField("A job.")).max(10).describe("The jobs it waits for."),
  priority: Priority,
  priorities: z.array(Priority).optional().describe("Other words."),
  fence: z.int().min(0).describe("Grows with each claim."),
  attempt: z.int32().min(0).describe("Counts the claims."),
  progress: z.number().min(0).max(1).optional().describe("How far it is."),
  paused: z.boolean().describe("Whether it stands still."),
  payload: json("Whatever the worker needs."),
  result: json("What came of it.").optional(),
  notes: z.array(json("A note.")).max(4).describe("Any JSON, in a list."),
  labels: z.record(z.string().max(63), z.string().max(63)).describe("Labels."),
  counts: z.record(z.string(), z.int()).optional().describe("Counters by name."),
  checksum: z.base64().optional().describe("SHA-256 of the payload."),
  secret: text(40).meta({ visibleTo: "secrets.read", description: "For the worker's eyes." }),
  createdAt: instant("When it was made."),
  runAts: z.array(instant("When it runs.")).describe("All its runs."),
  doneAt: instant("When it ended.").optional(),
  retry: Retry,
  children: z.array(Retry).describe("Messages in a list."),
  byName: z.record(z.string(), Retry).describe("Messages in a map."),
});
const PutJob = message("PutJobRequest", "A job to be made.", {
  namespace: namespaceField,
  kind: text(100, 1).describe("What kind of work it is."),
  priority: Priority.default("LOW").describe("How urgent it is."),
  payload: json("Whatever the worker needs."),
  runAt: instant("Not before this time.").optional(),
  labels: z.record(z.string().max(63), z.string().max(63)).default({}).describe("Labels."),
  capabilities: z.array(text(20)).optional().describe("What a worker must be able to do."),
  tags: z.array(text(20)).max(5).describe("Tags."),
  checksum: z.base64().optional().describe("SHA-256 of the payload."),
  weight: z.number().optional().describe("Any number."),
  limit: z.int().optional().describe("A large number."),
  retry: Retry.optional(),
});
const GetJob = message("GetJobRequest", "Names a job.", { namespace: namespaceField, id: uuidField("The job's id.") });
const ListJobs = message("ListJobsRequest", "Which jobs to list.", {
  namespace: namespaceField,
  states: z.array(Priority).optional().describe("Only these."),
  labels: z.record(z.string(), z.string()).optional().describe("Only jobs with these labels."),
  pageSize: z.int32().min(1).max(100).default(20).describe("How many."),
  since: instant("Only younger ones.").optional(),
});
const ListJobsResponse = message("ListJobsResponse", "A page of jobs.", {
  jobs: z.array(Job).describe("The jobs."),
  nextPageToken: z.string().optional().describe("Where the next page starts."),
});
const Beat = message("JobBeat", "The worker lives.", {
  type: z.literal("BEAT"),
  jobId: uuidField("The job."),
  at: instant("When."),
});
const JobDone = message("JobDone", "The work is done.", {
  type: z.literal("JOB_DONE"),
  result: json("What came of it."),
});
const Frame = z
  .discriminatedUnion("type", [Beat, JobDone])
  .meta({ id: "JobFrame", description: "One thing that is said in a session." });
const Session = message("SessionRequest", "What a worker says.", { namespace: namespaceField, frame: Frame });
const SessionResponse = message("SessionResponse", "What a worker hears.", { frame: Frame.optional() });
const WatchResponse = message("WatchJobsResponse", "Something happened.", {
  cursor: z.string().describe("Where to go on from."),
  frame: Frame,
});
const Nothing = message("DeleteJobResponse", "Nothing to say.", {});
const Worker = message("Worker", "Somebody who works.", {
  id: identifier(64).describe("Its id."),
  priority: Priority,
});
const GetWorker = message("GetWorkerRequest", "Names a worker.", { id: identifier(64).describe("Its id.") });

const unreachable = () => {
  throw new Error("The fixture's operations are never called.");
};

export const putJob = operation<Services, typeof PutJob, typeof Job>({
  name: "jobs.put",
  summary: "Makes a job.",
  description: "The same key answers the same job.",
  rest: "POST /v1/namespaces/{namespace}/jobs",
  grpc: "JobService/PutJob",
  graphql: "mutation putJob",
  permission: "jobs.put",
  input: PutJob,
  output: Job,
  handle: unreachable,
});
export const getJob = operation<Services, typeof GetJob, typeof Job>({
  name: "jobs.get",
  summary: "Gets a job.",
  rest: "GET /v1/namespaces/{namespace}/jobs/{id}",
  grpc: "JobService/GetJob",
  graphql: "query job",
  permission: "jobs.get",
  input: GetJob,
  output: Job,
  handle: unreachable,
});
export const listJobs = operation<Services, typeof ListJobs, typeof ListJobsResponse>({
  name: "jobs.list",
  summary: "Lists jobs.",
  rest: "GET /v1/namespaces/{namespace}/jobs",
  grpc: "JobService/ListJobs",
  graphql: "query jobs",
  permission: "jobs.get",
  input: ListJobs,
  output: ListJobsResponse,
  handle: unreachable,
});
export const deleteJob = operation<Services, typeof GetJob, typeof Nothing>({
  name: "jobs.delete",
  summary: "Deletes a job.",
  rest: "DELETE /v1/namespaces/{namespace}/jobs/{id}",
  grpc: "JobService/DeleteJob",
  graphql: "mutation deleteJob",
  permission: "jobs.delete",
  input: GetJob,
  output: Nothing,
  handle: unreachable,
});
export const watchJobs = serverStream<Services, typeof GetJob, typeof WatchResponse>({
  name: "jobs.watch",
  summary: "Tells what happens to a job.",
  rest: "GET /v1/namespaces/{namespace}/jobs/{id}:watch",
  grpc: "JobService/WatchJobs",
  graphql: "subscription jobChanged",
  permission: "jobs.get",
  input: GetJob,
  output: WatchResponse,
  handle: unreachable,
});
export const jobSession = bidi<Services, typeof Session, typeof SessionResponse>({
  name: "jobs.session",
  summary: "A worker's session.",
  grpc: "JobService/Session",
  permission: "jobs.work",
  input: Session,
  output: SessionResponse,
  handle: unreachable,
});
export const sayInSession = operation<Services, typeof Session, typeof Nothing>({
  name: "jobs.say",
  summary: "Says one thing, without a session.",
  rest: "POST /v1/namespaces/{namespace}/jobs:say",
  grpc: "JobService/Say",
  graphql: "mutation say",
  permission: "jobs.work",
  input: Session,
  output: Nothing,
  handle: unreachable,
});
export const getWorker = operation<Services, typeof GetWorker, typeof Worker>({
  name: "workers.get",
  summary: "Gets a worker.",
  rest: "GET /v1/workers/{id}",
  grpc: "WorkerService/GetWorker",
  graphql: "query worker",
  permission: "workers.get",
  input: GetWorker,
  output: Worker,
  handle: unreachable,
});

export const fixtureOperations = [
  putJob,
  getJob,
  listJobs,
  deleteJob,
  watchJobs,
  jobSession,
  sayInSession,
  getWorker,
] as const;

export const fixtureEdges: readonly AnyEdge[] = [
  {
    type: "Job",
    field: "worker",
    description: "Who has it.",
    returns: "Worker",
    schema: z.strictObject({}),
    permission: "workers.get",
    load: async () => [],
  },
  {
    type: "Worker",
    field: "jobs",
    description: "What it holds.",
    returns: "[Job!]!",
    schema: z.strictObject({}),
    arguments: "first: Int = 20",
    permission: "jobs.get",
    load: async () => [],
  },
];

export const fixtureServices = {
  JobService: "Jobs, and what becomes of them.",
  WorkerService: "Who does the jobs.",
  NoteService: "Notes.",
  OtherService: "What else there is.",
};
