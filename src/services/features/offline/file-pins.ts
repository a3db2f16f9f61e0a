/** Which files are being read in this process: they are not removed, however long the read takes. */
export interface FilePins {
  /** Answers the function that lets go of them. */
  pin(fileIds: readonly string[]): () => void;
  isPinned(fileId: string): boolean;
}

export function createFilePins(): FilePins {
  const counts = new Map<string, number>();
  return {
    pin(fileIds) {
      for (const fileId of fileIds) counts.set(fileId, (counts.get(fileId) ?? 0) + 1);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        for (const fileId of fileIds) {
          const count = counts.get(fileId)! - 1;
          if (count === 0) counts.delete(fileId);
          else counts.set(fileId, count);
        }
      };
    },
    isPinned: (fileId) => counts.has(fileId),
  };
}
