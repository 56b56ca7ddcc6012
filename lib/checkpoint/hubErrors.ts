/** Gives failures of hub requests their type: HubError with a code that callers branch on. */
import { HubApiError } from "@huggingface/hub";
import { HubError, WarploopError } from "../errors.js";
import { FileProblem } from "./boundedFile.js";
import { describeError, isSystemError } from "./json.js";

/**
 * The error for an HTTP status.
 *
 * @param what the thing asked for, such as "org/name@main"
 */
export function hubStatusError(status: number, what: string, cause?: unknown): HubError {
  const options = cause === undefined ? undefined : { cause };
  if (status === 401 || status === 403) {
    return new HubError(
      "ERR_HUB_UNAUTHORIZED",
      `${what}: access denied (HTTP ${status}): it does not exist, or it is private or gated and needs a token with access (HF_TOKEN)`,
      options,
    );
  }
  if (status === 404) return new HubError("ERR_HUB_NOT_FOUND", `${what}: not found (HTTP 404)`, options);
  return new HubError("ERR_HUB_NETWORK", `${what}: the hub answered HTTP ${status}`, options);
}

/** Wraps what the operating system says of the cache folder: a full disk, a folder that cannot be written. The rest passes. */
export function toCacheError(error: unknown, what: string): unknown {
  if (!isSystemError(error) && !(error instanceof FileProblem)) return error;
  const hint = "the folder of the cache is chosen with HF_HOME or HF_HUB_CACHE";
  const message = `${what}: cannot use the cache: ${describeError(error)}; ${hint}`;
  return new HubError("ERR_HUB_CACHE", message, { cause: error });
}

const networkAdvice =
  "check the network, name a mirror with HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what was downloaded before";

/** Wraps whatever a hub request threw. Typed errors and the reason of an abort pass unchanged. */
export function toHubError(error: unknown, what: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof WarploopError) return error;
  if (error instanceof HubApiError) return hubStatusError(error.statusCode, what, error);
  const problem = describeError(error);
  const cause = error instanceof Error ? error.cause : undefined;
  // What `fetch` throws says no more than that it failed.
  const message = cause === undefined ? problem : `${problem}: ${describeError(cause)}; ${networkAdvice}`;
  return new HubError("ERR_HUB_NETWORK", `${what}: ${message}`, { cause: error });
}
