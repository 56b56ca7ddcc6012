/**
 * What a run of the tests takes of that which is endless or slow. Two variables, for tests alone:
 * - WARPLOOP_TEST_SEED (an integer, 1 when it is not set): where random schedules and fuzz inputs begin, and which golden
 *   checkpoints the emulated GPU computes and which cases of the longest op tables run. CI gives each commit its own.
 * - WARPLOOP_TEST_WHOLE=1: nothing is left out for time's sake. "cases": of what is listed; random runs stay few.
 */
import { sample } from "../../scripts/check/sample.mjs";

/** The first seed of a test's random runs, a positive integer below 2^28. */
export const firstSeed = Number(process.env["WARPLOOP_TEST_SEED"] ?? 1);

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
