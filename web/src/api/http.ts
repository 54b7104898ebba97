/** One door to the exchange's HTTP interface; every failure becomes an `ApiError` with a sentence to show. */

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const WAIT_MS = 15_000;

/** Where the session's end is announced, so that every page leaves to the log-in at once. */
export const sessionEnded = new EventTarget();

async function failure(response: Response): Promise<ApiError> {
  let code = "http";
  let message = `The server answered ${response.status}.`;
  try {
    const body: unknown = await response.json();
    const error = (body as { error?: { code?: unknown; message?: unknown } } | null)?.error;
    if (typeof error?.code === "string") code = error.code;
    if (typeof error?.message === "string" && error.message) message = error.message;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // A proxy answered with a page of its own: the status has to do.
  }
  return new ApiError(response.status, code, message);
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  // The server asks for this header on unsafe methods: a foreign page cannot send it.
  if (method !== "GET") headers["X-Requested-With"] = "switchroom";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(WAIT_MS),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached. Check the network and try again.");
  }
  if (!response.ok) {
    const error = await failure(response);
    if (error.status === 401 && !path.endsWith("/login")) sessionEnded.dispatchEvent(new Event("ended"));
    throw error;
  }
  if (response.status === 204 || response.headers.get("content-length") === "0") return undefined as T;
  return (await response.json()) as T;
}

export const get = <T>(path: string): Promise<T> => request<T>("GET", path);
export const post = <T>(path: string, body?: unknown): Promise<T> => request<T>("POST", path, body);

/** A sentence for any error that reaches a page. */
export function sentence(error: unknown): string {
  return error instanceof Error && error.message ? error.message : "Something went wrong. Try again.";
}

/** `/path?a=1` with empty values left out. */
export function query(path: string, values: Record<string, string | number | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== "" && value !== null && value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}
