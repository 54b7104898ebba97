/** Whether sound still arrives on a connection: an ICE connection notices a dead network only after many seconds. */

export class Arrivals {
  #connection: RTCPeerConnection | null = null;
  #newest = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** Listen to this connection from now on. */
  watch(connection: RTCPeerConnection | null): void {
    this.#connection = connection;
    this.#newest = 0;
    this.#at = Number.NEGATIVE_INFINITY;
  }

  /** Milliseconds (of `performance.now()`) at which a new packet was seen last; look often enough. */
  last(): number {
    for (const receiver of this.#connection?.getReceivers() ?? []) {
      for (const source of receiver.getSynchronizationSources()) {
        // Browsers count this time from different beginnings: only that it moves is certain.
        if (source.timestamp > this.#newest) {
          this.#newest = source.timestamp;
          this.#at = performance.now();
        }
      }
    }
    return this.#at;
  }
}
