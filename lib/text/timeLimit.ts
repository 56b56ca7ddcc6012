/**
 * Runs synchronous code that untrusted data steers (a regular expression of tokenizer.json, a Jinja template) under a time
 * limit. Node's `vm` is used for its watchdog only, which stops V8 even inside a backtracking regular expression; it is no
 * sandbox here and needs to be none, because no code of a checkpoint is ever run.
 */
import { createContext, Script, type Context } from "node:vm";
import { native } from "../device/native.js";

/** Limit of one call in ms, about 20 times what a harmless one needs. @param numItems characters or tokens */
export const callLimitMs = (numItems: number): number => Math.ceil(1_000 + numItems * 0.05);
/** What such code may take of the event loop, in ms, where another thread can do it instead. */
const briefMs = 5;

interface Watchdog {
  readonly context: Context;
  readonly call: Script;
}

let watchdog: Watchdog | undefined;

/**
 * Runs `run` on this thread and stops it after `limitMs`. Costs about 0.2 ms per call.
 *
 * @param limitMs milliseconds, at least 1
 * @returns what `run` returns
 * @throws Error if the limit is reached; DeviceError if no thread can be created; otherwise what `run` throws
 */
export function withTimeLimit<T>(run: () => T, limitMs: number): T {
  native.requireThread(); // Node's clock is a thread, and ends the process when it cannot be created
  watchdog ??= { context: createContext({}), call: new Script("run()") };
  watchdog.context["run"] = run;
  try {
    return watchdog.call.runInContext(watchdog.context, { timeout: limitMs }) as T;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new Error(`took longer than ${limitMs} ms`);
  } finally {
    watchdog.context["run"] = undefined;
  }
}

/** The result of `run`; undefined if it takes longer than a few ms or fails: it is to be run again on another thread, which says why. */
export function briefly<T>(run: () => T): T | undefined {
  try {
    return withTimeLimit(run, briefMs);
  } catch {
    return undefined;
  }
}
