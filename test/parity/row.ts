import type { Input } from "../support/clients-model.ts";
import type { Actor } from "./parity-gateway.ts";

/** What the table says of one operation. */
export interface Row {
  /** Arranges what the call needs, over the actor's own protocol, and answers an input that succeeds once. */
  good(actor: Actor): Promise<Input> | Input;
  /** Put into the good input, they make another body; for mutations. */
  readonly other?: Input;
}
