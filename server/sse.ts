/** Answers as server-sent events. */
import type { Call } from "./calls.js";
import type { Dialect } from "./dialect.js";
import { clientGone, HttpError } from "./errors.js";

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no", // nginx would hold them back
};

/** Events that come; a generator is such. */
export type Events = Pick<AsyncGenerator<object, void, void>, "next" | "return">;

/** Events from the first token on: what comes before it is kept, so that a call that has none can be begun anew. @throws as events */
export async function untilToken(call: Call, events: Events): Promise<Events> {
  const kept: object[] = [];
  while (!call.hasToken) {
    const { done, value } = await events.next();
    if (done) break;
    kept.push(value);
  }
  const next: Events["next"] = async () =>
    kept.length > 0 ? { done: false, value: kept.shift()! } : events.next();
  return { next, return: (value) => events.return(value) };
}

/**
 * What fails after the status is sent is an event with an error, which clients throw, and the last one.
 *
 * @param events read as fast as the client takes them; ended when it leaves
 * @param onEnd is called when nothing more comes, once or more often
 * @param asError what is said of a failure
 */
export function eventResponse(
  call: Call,
  events: Events,
  asError: (error: unknown) => HttpError,
  dialect: Dialect,
  onEnd: () => void,
): Response {
  const encoder = new TextEncoder();
  let hasLeft = false;
  const stop = (): void => {
    call.end(call.abortReason);
    onEnd();
  };
  call.signal.addEventListener("abort", stop, { once: true }); // also where the client does not read on
  const finish = (
    controller: ReadableStreamDefaultController<Uint8Array>,
    text: string,
    error?: HttpError,
  ): void => {
    call.end(error);
    onEnd();
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
      onEnd();
    },
  });
  return new Response(stream, { headers });
}
