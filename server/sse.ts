/** Answers as server-sent events. */
import type { Call } from "./calls.js";
import type { Dialect } from "./dialect.js";
import { clientGone, HttpError } from "./errors.js";

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no", // nginx would hold them back
};

/**
 * What fails after the status is sent is an event with an error, which clients throw, and the last one.
 *
 * @param events read as fast as the client takes them; ended when it leaves
 * @param asError what is said of a failure
 */
export function eventResponse(
  call: Call,
  events: AsyncGenerator<object, void, void>,
  asError: (error: unknown) => HttpError,
  dialect: Dialect,
): Response {
  const encoder = new TextEncoder();
  let hasLeft = false;
  const finish = (
    controller: ReadableStreamDefaultController<Uint8Array>,
    text: string,
    error?: HttpError,
  ): void => {
    call.end(error);
    if (hasLeft) return;
    if (text !== "") controller.enqueue(encoder.encode(text));
    controller.close();
  };
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await events.next();
        if (done) finish(controller, dialect.end);
        else if (!hasLeft) controller.enqueue(encoder.encode(dialect.frame(value)));
      } catch (cause) {
        const error = asError(cause);
        finish(controller, dialect.failure(error, call.requestId), error);
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
