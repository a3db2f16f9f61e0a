/** Nothing became free in time. */
export class NoSlotError extends Error {}

/** A bound on how many may do something at the same time; the rest wait for their turn, in order. */
export interface Slots {
  /** Takes a slot: at once (undefined, so that the usual case costs no promise), or when the answer resolves. */
  take(): Promise<void> | undefined;
  /** Gives back what was taken. */
  give(): void;
}

interface Waiter {
  readonly start: () => void;
  readonly timer: NodeJS.Timeout;
}

/** `count` slots. Who waits longer than `waitMs` for one is refused with a NoSlotError. */
export function createSlots(count: number, waitMs: number): Slots {
  let free = count;
  const waiting = new Set<Waiter>();

  const queue = () =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(waiter);
        reject(new NoSlotError(`None of ${count} slots became free within ${waitMs} ms.`));
      }, waitMs);
      const waiter: Waiter = { start: resolve, timer };
      waiting.add(waiter);
    });

  return {
    take() {
      if (free === 0) return queue();
      free -= 1;
      return undefined;
    },
    give() {
      const [next] = waiting;
      if (next === undefined) {
        free += 1;
        return;
      }
      waiting.delete(next);
      clearTimeout(next.timer);
      next.start();
    },
  };
}

/** Takes one of each, in their order, or none; at once (undefined) where all are free. */
export function takeEach(all: readonly Slots[]): Promise<void> | undefined {
  for (let index = 0; index < all.length; index += 1) {
    const turn = all[index]?.take();
    if (turn) return takeRest(all, index, turn);
  }
  return undefined;
}

async function takeRest(all: readonly Slots[], index: number, turn: Promise<void>): Promise<void> {
  let taken = index;
  try {
    await turn;
    for (taken += 1; taken < all.length; taken += 1) await all[taken]?.take();
  } catch (error) {
    giveEach(all.slice(0, taken));
    throw error;
  }
}

export function giveEach(all: readonly Slots[]): void {
  for (const slots of all) slots.give();
}
