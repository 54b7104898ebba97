/** The server's clock as this browser can know it. */

const STEP_SECONDS = 2;

/**
 * The better of two estimates of server time minus local time: a message can only be late, so the larger one is nearer;
 * a difference above two seconds is a clock that was set.
 */
export function betterSkew(known: number | null, seen: number): number {
  if (known === null || Math.abs(seen - known) > STEP_SECONDS) return seen;
  return Math.max(known, seen);
}

export class ServerClock {
  #skew: number | null = null;

  /** Note a time, in seconds since 1970, that the server has just sent. */
  observe(time: number): void {
    this.#skew = betterSkew(this.#skew, time - Date.now() / 1000);
  }

  /** Seconds since 1970 by the server's clock. */
  now(): number {
    return Date.now() / 1000 + (this.#skew ?? 0);
  }

  /** A new connection may be to another machine. */
  forget(): void {
    this.#skew = null;
  }
}
