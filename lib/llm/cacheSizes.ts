/** The memory that a sequence takes in the cache, by its length. */
import { pageSizeOf, type StateSpec, stateLayout } from "../nn/state.js";
import { CacheGroup, peakBlocks } from "../schedule/cacheGroup.js";

/** Of a sequence at its longest. */
export interface CacheSize {
  readonly tokens: number;
  readonly bytes: number;
}

/**
 * @param contextLength of the load
 * @param chunkTokens of a prompt that run at once: what a window holds besides
 * @returns for powers of two from 1024 on, and for the whole context
 */
export function cacheSizes(
  state: readonly StateSpec[],
  { contextLength, chunkTokens }: { readonly contextLength: number; readonly chunkTokens: number },
): CacheSize[] {
  const pageSize = pageSizeOf(state);
  const { blockBytes, slotLayers, groups } = stateLayout(state, { pageSize, longest: contextLength });
  const cacheGroups = groups.map((group, i) => new CacheGroup(i, group, pageSize, chunkTokens));
  const lengths: number[] = [];
  for (let tokens = 1024; tokens < contextLength; tokens *= 2) lengths.push(tokens);
  return [...lengths, contextLength].map((tokens) => ({
    tokens,
    bytes: (peakBlocks(cacheGroups, tokens) + slotLayers) * blockBytes,
  }));
}
