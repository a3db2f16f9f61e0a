import { z } from "zod";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../core/page.ts";
import { durationMs, enumeration, identifier, instant, message, namespaceField, text } from "../../core/schema.ts";

const DAY_MS = 86_400_000;
const MIN_TTL_MS = 100;
const MAX_WAIT_MS = 30_000;
const MAX_METADATA_ENTRIES = 32;

const leaseNameField = identifier(200).describe("What is leased, e.g. `nightly-training`. It need not exist before.");
const fenceField = z
  .int()
  .min(1)
  .describe("The fencing token that acquire answered. It grows with each acquisition; an older one changes nothing.");
const ttlMs = durationMs(MIN_TTL_MS, DAY_MS, "How long the lease lasts without a heartbeat, in milliseconds.");

const metadataField = z
  .record(identifier(63), text(255))
  .refine((metadata) => Object.keys(metadata).length <= MAX_METADATA_ENTRIES, {
    error: `must not have more than ${MAX_METADATA_ENTRIES} entries`,
  })
  .describe(
    `At most ${MAX_METADATA_ENTRIES} entries for people and programs to read; values are up to 255 characters.`,
  );

export const LeaseState = enumeration("LeaseState", "Whether somebody holds it.", {
  HELD: "Somebody does, until expiresAt.",
  FREE: "Nobody does.",
});

export const Lease = message("Lease", "The right to something that only one may have at a time.", {
  namespace: z.string().describe("The namespace it belongs to."),
  leaseName: z.string().describe("What is leased."),
  state: LeaseState.describe("Whether somebody holds it now."),
  holder: z.string().optional().describe("Who holds it; absent while it is free."),
  fence: z
    .int()
    .describe(
      "The fencing token of whoever acquired it last. Give it to what the lease protects, and let that refuse lower ones.",
    ),
  acquiredAt: instant("When it was acquired last."),
  expiresAt: instant("When it ends unless it is extended; absent while it is free.").optional(),
  metadata: metadataField.describe("What the holder said when it acquired it."),
});
export type Lease = z.output<typeof Lease>;

const named = { namespace: namespaceField, leaseName: leaseNameField };

export const AcquireLeaseRequest = message("AcquireLeaseRequest", "Asks for a lease.", {
  ...named,
  holder: identifier(200).describe("Who asks: a stable name of the process, unlike anybody else's."),
  ttlMs,
  waitMs: durationMs(
    0,
    MAX_WAIT_MS,
    "How long to wait for it to become free, in milliseconds; 0 answers at once.",
  ).default(0),
  metadata: metadataField.default({}),
});
export type AcquireLeaseRequest = z.output<typeof AcquireLeaseRequest>;
export const AcquireLeaseResponse = message("AcquireLeaseResponse", "The lease, held by the caller.", {
  lease: Lease.describe("The lease."),
});

export const HeartbeatLeaseRequest = message("HeartbeatLeaseRequest", "Says that the holder is alive.", {
  ...named,
  fence: fenceField,
  ttlMs: ttlMs
    .optional()
    .describe("How long it lasts from now on, in milliseconds; as long as it was acquired for where absent."),
});
export type HeartbeatLeaseRequest = z.output<typeof HeartbeatLeaseRequest>;
export const HeartbeatLeaseResponse = message("HeartbeatLeaseResponse", "The lease with its new end.", {
  lease: Lease.describe("The lease."),
});

export const ReleaseLeaseRequest = message("ReleaseLeaseRequest", "Gives a lease back.", {
  ...named,
  fence: fenceField,
});
export type ReleaseLeaseRequest = z.output<typeof ReleaseLeaseRequest>;
export const ReleaseLeaseResponse = message("ReleaseLeaseResponse", "The lease, free.", {
  lease: Lease.describe("The lease."),
});

export const GetLeaseRequest = message("GetLeaseRequest", "Asks for one lease.", named);
export type GetLeaseRequest = z.output<typeof GetLeaseRequest>;
export const GetLeaseResponse = message("GetLeaseResponse", "The lease.", { lease: Lease.describe("The lease.") });

export const ListLeasesRequest = message("ListLeasesRequest", "Asks for a page of leases, by name.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListLeasesRequest = z.output<typeof ListLeasesRequest>;
export const ListLeasesResponse = message("ListLeasesResponse", "A page of leases.", {
  leases: z.array(Lease).describe("By name."),
  nextPageToken: nextPageTokenField,
});
