/**
 * Decoding (one query per sequence) streams the keys and values of the context: the rate is that of memory. Then the last
 * chunk of a long prompt, limited by arithmetic. With a block mask time follows the share of blocks.
 *
 *     npx tsx bench/ops/pagedAttention.bench.ts
 */
import { benchOp } from "../support/opBench.js";
import { pagedCase } from "../support/pagedCase.js";

await benchOp("pagedAttention", [
  pagedCase(1, 1, 2048, 16, "bf16"),
  pagedCase(1, 1, 8192, 16, "bf16"),
  pagedCase(4, 1, 2048, 16, "bf16"),
  pagedCase(4, 1, 8192, 16, "bf16"),
  pagedCase(4, 1, 8192, 8, "bf16"),
  pagedCase(4, 1, 8192, 64, "bf16"),
  pagedCase(4, 1, 8192, 16, "bf16", "i8"),
  pagedCase(4, 1, 8192, 16, "bf16", "fp8e4m3"),
  pagedCase(4, 1, 8192, 64, "bf16", "i8"),
  ...[2, 4, 16].map((every) => pagedCase(4, 1, 8192, 16, "bf16", undefined, every)),
  pagedCase(4, 1, 2048, 16, "f32"),
  pagedCase(4, 1, 2048, 16, "f32", "i8"),
  pagedCase(1, 4, 8192, 16, "bf16"),
  pagedCase(1, 512, 4096, 16, "bf16"),
  ...[2, 4, 16].map((every) => pagedCase(1, 512, 4096, 16, "bf16", undefined, every)),
  pagedCase(1, 512, 4096, 16, "bf16", "i8"),
  pagedCase(1, 512, 4096, 16, "bf16", "fp8e4m3"),
]);
