/** When a page that has lost the exchange tries again. */

const FIRST_RETRY_MS = 200;
const BRISK_RETRY_MS = 1_000;
const BRISK_TRIES = 20;
const LAST_RETRY_MS = 5_000;

/**
 * Wait before try number `attempt` (from 0): doubled up to a second, since an exchange that restarts is back in a few; five
 * seconds when it stays away. Up to a fifth less, so that pages do not return in step.
 */
export function retryDelay(attempt: number, random: number): number {
  const full = attempt < BRISK_TRIES ? Math.min(BRISK_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt) : LAST_RETRY_MS;
  return full * (1 - 0.2 * random);
}
