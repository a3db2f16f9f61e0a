import { HANG_MS, type StreamItem, type StreamReader } from "./clients-model.ts";

/** A stream reader that is fed by callbacks. */
export interface Mailbox extends StreamReader {
  push(item: StreamItem): void;
  /** Something that no stream should meet; `next` throws it. */
  fail(error: unknown): void;
}

export function createMailbox(what: string, onClose: () => void): Mailbox {
  const items: (StreamItem | { readonly thrown: unknown })[] = [];
  let wake: (() => void) | undefined;
  let isClosed = false;
  const add = (item: (typeof items)[number]) => {
    items.push(item);
    wake?.();
  };
  return {
    push: add,
    fail: (thrown) => {
      if (!isClosed) add({ thrown });
    },
    async next() {
      if (items.length === 0) {
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`${what} said nothing for ${HANG_MS} ms.`)), HANG_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      const item = items.shift()!;
      if ("thrown" in item) throw item.thrown;
      return item;
    },
    close() {
      isClosed = true;
      onClose();
    },
  };
}

/** Feeds a mailbox from an async source until it is over. */
export function feed(mailbox: Mailbox, source: AsyncIterable<StreamItem>): void {
  (async () => {
    for await (const item of source) mailbox.push(item);
  })().catch((error) => mailbox.fail(error));
}
