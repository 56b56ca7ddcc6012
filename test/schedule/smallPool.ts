/** Options of a scheduler whose 40 blocks are soon used up. */
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";

export const smallPool: SchedulerOptions = {
  maxSequences: 4,
  maxStepTokens: 16,
  maxModelLen: 64,
  pageSize: 4,
  numBlocks: 41,
  admission: "optimistic",
  prefixCache: false,
};
