/** NaN in all memory of the KV cache that nobody holds. */
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { Scheduler } from "../../lib/schedule/scheduler.js";

export interface Poison {
  /** To be called when a step is queued. @param pool [blocks, bytes] */
  (scheduler: Scheduler, pool: Tensor, stream: Stream): void;
  /** Blocks that were held before, and were then filled while requests ran. */
  count: number;
}

/** Fills a block with NaN as soon as nobody holds it. For engines without a prefix cache, which would find its content again. */
export function poisonFree(): Poison {
  const poisoned = new Set<number>();
  const used = new Set<number>();
  const poison: Poison = (scheduler, pool, stream) => {
    const blocksOf = [...scheduler.requests].flatMap(({ held, slot }) => [
      ...held.flatMap(({ blocks }) => blocks),
      ...slot,
    ]);
    const held = new Set(blocksOf);
    const nan = new Uint8Array(pool.size(1)).fill(0xff);
    for (let block = 1; block < pool.size(0); block++) {
      if (held.has(block)) {
        poisoned.delete(block);
        used.add(block);
      } else if (!poisoned.has(block)) {
        pool.slice(0, block, block + 1).write(stream, nan);
        poisoned.add(block);
        if (used.has(block)) poison.count++;
      }
    }
  };
  poison.count = 0;
  return poison;
}
