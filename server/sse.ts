/** Answers as server-sent events: one `data:` line of JSON each, and `[DONE]`. */
import type { Call } from "./calls.js";
import { clientGone, HttpError } from "./errors.js";

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no", // nginx would hold them back
};

/**
 * What fails after the status is sent is an event with an error, which clients of OpenAI throw, and no `[DONE]`.
 *
 * @param events read as fast as the client takes them; ended when it leaves
 * @param asError what is said of a failure
 */
export function eventResponse(
  call: Call,
  events: AsyncGenerator<object, void, void>,
  asError: (error: unknown) => HttpError,
): Response {
  const encoder = new TextEncoder();
  const frame = (data: string): Uint8Array => encoder.encode(`data: ${data}\n\n`);
  let hasLeft = false;
  const finish = (
    controller: ReadableStreamDefaultController<Uint8Array>,
    data: string,
    error?: HttpError,
  ): void => {
    call.end(error);
    if (hasLeft) return;
    controller.enqueue(frame(data));
    controller.close();
  };
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await events.next();
        if (done) finish(controller, "[DONE]");
        else if (!hasLeft) controller.enqueue(frame(JSON.stringify(value)));
      } catch (cause) {
        const error = asError(cause);
        finish(controller, JSON.stringify(error.body), error);
      }
    },
    async cancel() {
      hasLeft = true;
      const gone = new HttpError(clientGone, "the client has gone");
      call.abort(gone);
      await events.return();
      call.end(gone);
    },
  });
  return new Response(stream, { headers });
}
