/** The side of a JobThread (jobThread.ts) that runs inside the thread. */
import { parentPort } from "node:worker_threads";
import { describeError } from "../checkpoint/json.js";
import type { JobReply } from "./jobThread.js";

/**
 * Answers jobs until the thread is ended. To be called once, by the module that the thread runs.
 *
 * @param handle synchronous; what it throws becomes a JobFailure with reason "error" and the same message
 */
export function serveJobs<Job, Result>(handle: (job: Job) => Result): void {
  const port = parentPort;
  if (!port) throw new Error("serveJobs: expected to run in a worker thread");
  const reply = (message: JobReply): void => {
    port.postMessage(message);
  };
  port.on("message", (job: Job) => {
    try {
      reply({ result: handle(job) });
    } catch (error) {
      reply({ error: describeError(error) });
    }
  });
  reply("ready");
}
