/** Bounds on what a hub may answer to questions about a repository: an endless or a compressed listing must not fill memory. */
import { HubError } from "../errors.js";

/** The largest repositories have some ten thousand files, in pages of a thousand. */
const maxRequests = 200;
const maxBytes = 64_000_000; // of all answers together, decompressed

/**
 * A fetch that counts.
 *
 * @param what named in the error, such as "org/name@main"
 * @returns a fetch that rejects, or whose body does, with HubError ERR_HUB_NETWORK once there is too much
 */
export function boundedFetch(fetch: typeof globalThis.fetch, what: string): typeof globalThis.fetch {
  let requests = 0;
  let bytes = 0;
  return async (input, init) => {
    if (++requests > maxRequests) {
      throw new HubError("ERR_HUB_NETWORK", `${what}: the hub's listing has more than ${maxRequests} pages`);
    }
    const response = await fetch(input, init);
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.length;
        if (bytes > maxBytes) {
          throw new HubError("ERR_HUB_NETWORK", `${what}: the hub answered more than ${maxBytes} bytes`);
        }
        controller.enqueue(chunk);
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body?.pipeThrough(count) ?? null, { status, statusText, headers });
  };
}
