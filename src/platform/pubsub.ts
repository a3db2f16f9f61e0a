/**
 * Short messages to every gateway, without a promise: a message may be lost or arrive late, so
 * nothing may depend on it but speed. The sender's own subscribers hear it at once.
 */
export interface PubSub {
  /** Never throws and never waits; `message` is at most a few hundred bytes. */
  publish(channel: string, message: string): void;
  /** Calls `listener` for each message until the returned function is called. */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => void>;
  close(): Promise<void>;
}
