/** The scheduler's options and their checks. */
import { type CacheGroupOptions, oneGroup } from "./cacheGroup.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";

/**
 * "optimistic" admits a request when its known tokens fit and preempts (recompute) when memory runs out;
 * "reserve" admits it when its whole lifetime fits, and never preempts.
 */
export type Admission = "optimistic" | "reserve";

export interface SchedulerOptions {
  /** Rows: most requests that run at once. */
  readonly maxSequences: number;
  /** Most tokens in one step, >= maxSequences so that every running request can decode in every step. */
  readonly maxStepTokens: number;
  /** Context length in tokens, prompt and generated. Also the width of the device token pool. */
  readonly maxModelLen: number;
  /** Tokens per KV page. */
  readonly pageSize: number;
  /** Blocks of the KV cache in all, the dummy block 0 included. */
  readonly numBlocks: number;
  /** What shares the blocks. Default: one group of layers that see everything, with a page in each block. */
  readonly groups?: readonly CacheGroupOptions[];
  /** Layers that keep a slot: blocks that a request holds whatever its length. Default 0. */
  readonly slotLayers?: number;
  readonly admission: Admission;
  /** Reuse the KV of equal prefixes. */
  readonly prefixCache: boolean;
  /** Most prompt tokens of one request in one step. Default: maxStepTokens. */
  readonly chunkTokens?: number;
}

/**
 * Tokens of the requests that one step admits, the last one's beyond it: about 1 ms. What the prefix cache has of them costs no
 * step tokens, but is looked up, compared and written to the device as well.
 */
export const maxAdmittedTokens = 65_536;

export type ResolvedSchedulerOptions = Required<SchedulerOptions>;

/**
 * Fills in the defaults.
 * @throws ArgumentTypeError an option of the wrong type
 * @throws ArgumentRangeError an option out of range
 */
export function resolveSchedulerOptions(options: SchedulerOptions): ResolvedSchedulerOptions {
  const { groups = oneGroup, slotLayers = 0, chunkTokens = options.maxStepTokens } = options;
  const resolved = { ...options, groups, slotLayers, chunkTokens };
  checkInteger(resolved, "maxSequences", 1);
  checkInteger(resolved, "maxStepTokens", resolved.maxSequences);
  checkInteger(resolved, "maxModelLen", 2);
  checkInteger(resolved, "pageSize", 1);
  checkInteger(resolved, "slotLayers", 0);
  for (const group of groups) {
    checkInteger(group, "window", 0);
    checkInteger(group, "pagesPerBlock", 1);
  }
  // Slots (page * pageSize + offset) are int32.
  const mostPages = Math.max(1, ...groups.map(({ pagesPerBlock }) => pagesPerBlock));
  checkInteger(resolved, "numBlocks", 2, Math.floor(0x7fffffff / (resolved.pageSize * mostPages)));
  checkInteger(resolved, "chunkTokens", 1);
  if (resolved.admission !== "optimistic" && resolved.admission !== "reserve") {
    throw new ArgumentRangeError(
      `admission: expected "optimistic" or "reserve", got ${String(resolved.admission)}`,
    );
  }
  if (typeof resolved.prefixCache !== "boolean") {
    throw new ArgumentTypeError(`prefixCache: expected a boolean, got ${typeof resolved.prefixCache}`);
  }
  return resolved;
}

function checkInteger<T, K extends keyof T & string>(
  options: T,
  name: K,
  min: number,
  max = 0x7fffffff,
): void {
  const value: unknown = options[name];
  if (typeof value !== "number")
    throw new ArgumentTypeError(`${name}: expected a number, got ${typeof value}`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ArgumentRangeError(`${name}: expected an integer in [${min}, ${max}], got ${value}`);
  }
}
