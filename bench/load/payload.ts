/** The work's input in every case: about 200 bytes of JSON. */
export const payload = {
  document: "s3://bench/documents/000000000000.pdf",
  model: "text-embedding-large",
  chunkSize: 512,
  normalize: true,
  note: "As long as it needs to be so that all of it is about two hundred bytes.",
} as const;
