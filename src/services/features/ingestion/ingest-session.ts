import type { Call } from "../../../core/call.ts";
import { AppError, toAppError } from "../../../core/errors.ts";
import { createOutbox } from "../../../core/outbox.ts";
import type { FeatureCatalog, ResolvedVersion } from "../definitions/feature-catalog.ts";
import { microsToText } from "../values/micros.ts";
import type { IngestColumns, IngestFeaturesRequest, IngestFeaturesResponse } from "./ingest-model.ts";
import { checkColumns } from "./sort-columns.ts";
import type { FeatureRow } from "./write-model.ts";
import { type SortedRows, sortRows, type WriteService } from "./write-service.ts";

/** Batches under way at once: the next ones are checked while earlier ones become durable. */
const MAX_IN_FLIGHT = 8;
const MAX_BAD_ROWS_ANSWERED = 1000;

export type IngestSession = (
  batches: AsyncIterable<IngestFeaturesRequest>,
  call: Call,
) => AsyncIterable<IngestFeaturesResponse>;

/**
 * A stream of batches, answered in their order. A batch is read only when there is room for it and
 * answers are taken, so a client that sends faster than rows become durable is held back by flow control.
 */
export function createIngestSession(catalog: FeatureCatalog, writes: WriteService): IngestSession {
  return async function* ingest(batches, call) {
    const answers = createOutbox<Promise<IngestFeaturesResponse>>(MAX_IN_FLIGHT);
    const reading = readBatches(batches, (batch) => answers.put(ingestBatch(catalog, writes, batch, call))).then(
      () => answers.end(),
      (error: unknown) => answers.end(toAppError(error)),
    );
    for await (const answer of answers) yield answer;
    await reading;
  };
}

async function readBatches(
  batches: AsyncIterable<IngestFeaturesRequest>,
  take: (batch: IngestFeaturesRequest) => Promise<void>,
): Promise<void> {
  let namespace: string | undefined;
  for await (const batch of batches) {
    namespace ??= batch.namespace;
    refuseOtherNamespace(batch, namespace);
    await take(batch);
  }
}

/** The session was let in for one namespace alone. */
function refuseOtherNamespace(batch: IngestFeaturesRequest, namespace: string): void {
  if (batch.namespace === namespace) return;
  throw new AppError(
    "INVALID_ARGUMENT",
    "OTHER_NAMESPACE",
    `This session writes to namespace "${namespace}". Open another one for another namespace.`,
    { details: { fields: [{ field: "namespace", message: `must be ${namespace}, as in the first message` }] } },
  );
}

/** Never rejects: what is wrong with one batch is its answer, and the session goes on. */
async function ingestBatch(
  catalog: FeatureCatalog,
  writes: WriteService,
  request: IngestFeaturesRequest,
  call: Call,
): Promise<IngestFeaturesResponse> {
  const { namespace, group, batch } = request;
  let sorted: SortedRows = { good: [], bad: [] };
  try {
    const version = await catalog.version(namespace, group, request.version);
    sorted = sortBatch(writes, version, request);
    const rowAt = (index: number) => (request.columns ? rowOf(request.columns, index) : request.rows[index]!);
    const written = await writes.writeSorted(version, sorted, rowAt, call);
    return { batch, ...written, badRows: badRowsOf(sorted) };
  } catch (thrown) {
    const { code, reason, message } = toAppError(thrown);
    return { batch, writtenRows: 0, quarantinedRows: 0, badRows: badRowsOf(sorted), code, reason, message };
  }
}

function sortBatch(
  writes: WriteService,
  version: ResolvedVersion,
  { rows, columns }: IngestFeaturesRequest,
): SortedRows {
  if ((columns === undefined) === (rows.length === 0)) {
    throw new AppError("INVALID_ARGUMENT", "INVALID_ARGUMENT", "Send either rows or columns, not both and not none.");
  }
  if (columns === undefined) return writes.sort(version, rows);
  return sortRows(checkColumns(version, writes.checker(version), columns));
}

function badRowsOf({ bad }: SortedRows): IngestFeaturesResponse["badRows"] {
  return bad.slice(0, MAX_BAD_ROWS_ANSWERED).map(({ index, problems }) => ({ row: index, problems: [...problems] }));
}

/** One row of columns, by names, as it is kept in quarantine. */
function rowOf({ entities, features, eventTimesMicros }: IngestColumns, index: number): FeatureRow {
  const pick = (columns: IngestColumns["features"]) =>
    Object.fromEntries(
      columns
        .filter(({ nullRows }) => !nullRows.includes(index))
        .map(({ name, values: { type, values } }) => {
          const value = values[index] as { readonly items: unknown } | null;
          return [name, type.endsWith("_LIST") || type === "VECTOR" ? (value?.items ?? null) : value];
        }),
    );
  return {
    entity: pick(entities),
    values: pick(features),
    eventTime: microsToText(eventTimesMicros[index]!),
  } as FeatureRow;
}
