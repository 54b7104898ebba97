/** Offers without trickling: the candidates go with the session description. */

const GATHER_MS = 1_000;
/** Without servers to ask, what a browser has of its own is there almost at once; the end of gathering may take longer. */
const OWN_MS = 200;

/** Resolves when all candidates are in the local description, or with those that are there when enough time has gone. */
export function gathered(connection: RTCPeerConnection, servers = true): Promise<void> {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    let timer = setTimeout(resolve, GATHER_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
    if (servers) return;
    connection.addEventListener(
      "icecandidate",
      () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, OWN_MS);
      },
      { once: true },
    );
  });
}
