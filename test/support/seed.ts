/**
 * What a run of the tests takes of that which is endless or slow. Variables, for tests alone:
 * - WARPLOOP_TEST_SEED (an integer, 1 when it is not set): where random schedules and fuzz inputs begin, and which golden
 *   checkpoints the emulated GPU computes and which cases of the longest op tables run. CI gives each commit its own.
 * - WARPLOOP_TEST_TOUCHED: files, parted by spaces, of which nothing is left out: what the change touches.
 * - WARPLOOP_TEST_WHOLE=1: nothing is left out for time's sake. "cases": of what is listed; random runs stay few.
 */
import { createHash } from "node:crypto";
import { sample } from "../../scripts/check/sample.mjs";

/** The first seed of a test's random runs, a positive integer below 2^28. */
export const firstSeed = Number(process.env["WARPLOOP_TEST_SEED"] ?? 1);

/** Test files and examples that run whole, relative to the repository. */
export const touched: ReadonlySet<string> = new Set(process.env["WARPLOOP_TEST_TOUCHED"]?.split(" "));

/** Whether a case is in the part, `share` of all, that `firstSeed` picks; with WARPLOOP_TEST_WHOLE every one is. */
export function isPicked(name: string, share: number): boolean {
  if (process.env["WARPLOOP_TEST_WHOLE"]) return true;
  return createHash("sha256").update(`${firstSeed} ${name}`).digest().readUInt32LE() < share * 2 ** 32;
}

/** About `count` of the items, picked by `firstSeed`; all of them with WARPLOOP_TEST_WHOLE. */
export function someOf<T>(items: readonly T[], count: number): readonly T[] {
  if (process.env["WARPLOOP_TEST_WHOLE"]) return items;
  const candidates = items.map((item) => ({ name: JSON.stringify(item), paths: [] }));
  const names = new Set(sample({ seed: firstSeed, candidates, share: count / items.length }));
  return items.filter((item) => names.has(JSON.stringify(item)));
}

/** How many random runs a test makes, from `firstSeed`: `few`, or `whole` of them with WARPLOOP_TEST_WHOLE=1. */
export function runsOf({ few, whole }: { readonly few: number; readonly whole: number }): number {
  return process.env["WARPLOOP_TEST_WHOLE"] === "1" ? whole : few;
}
