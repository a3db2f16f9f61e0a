/** Something that runs. Both verbs may be called twice; the second call changes nothing. */
export interface Component {
  readonly name: string;
  start(): Promise<void>;
  /** Ends within `deadlineMs`; what is still under way then is aborted. */
  stop(deadlineMs: number): Promise<void>;
}
