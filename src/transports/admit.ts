/**
 * Checks a credential before the body behind it is taken in. Answers nothing where it is known to be
 * good, a promise where it must be looked up; throws, or rejects, with what is wrong with it.
 */
export type Admit = (authorization: string | undefined) => Promise<unknown> | undefined;
