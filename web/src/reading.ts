// What the pages read of the gate: once or again and again, and what they say where that fails.
import { Refusal } from "./api";
import { signInFirst } from "./router.svelte";
import { words } from "./webauthn";

/** Often enough to trust a list, and rarely enough not to be a burden. */
const EVERY = 10_000;

/** What a failure is to the person in front of it. Whoever is no longer signed in goes there first. */
export function failed(error: unknown): string {
  if (error instanceof Refusal && error.status === 401) signInFirst();
  return words(error);
}

/** Reads at once and again and again, while the page can be seen. Answers how to stop. */
export function often(read: () => Promise<void>): () => void {
  const look = () => {
    if (!document.hidden) void read();
  };
  look();
  const clock = setInterval(look, EVERY);
  return () => clearInterval(clock);
}
