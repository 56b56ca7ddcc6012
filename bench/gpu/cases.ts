/**
 * What bench:gpu times: the shapes of the release's targets, each with its PyTorch counterpart. Work that a cache could hold
 * is spread over copies, so that every call reads memory as a decode step does.
 */
import type { GpuCase } from "./gpuCase.js";
import * as work from "./work.js";

/** `small` shrinks every size: the same code on the emulator, to see that it runs. */
export function gpuCases(small: boolean): GpuCase[] {
  const size = (full: number, tiny: number): number => (small ? tiny : full);
  const L = (tokens: number): number => size(tokens, 64);
  const heads = small ? { Hq: 4, Hkv: 2, Dh: 64 } : { Hq: 64, Hkv: 8, Dh: 128 };
  const moe = small ? { E: 4, topK: 2, D: 64, F: 32 } : { E: 128, topK: 8, D: 2048, F: 768 }; // Qwen3-30B-A3B
  const D = size(4096, 128);
  const rows = size(16_384, 4);

  return [
    work.flashAttention({ B: 2, L: L(2048), ...heads, causal: true }),
    work.flashAttention({ B: 2, L: L(8192), ...heads, causal: true }, { least: 400, goal: 655 }),
    work.flashAttention({ B: 2, L: L(8192), ...heads, causal: false }),
    work.flashAttention({ B: 2, L: L(16_384), ...heads, causal: true }),
    ...[1, 2, 4, 8].map((Lq) =>
      work.pagedAttention({ B: size(64, 2), Lq, L: L(8192), ...heads }, { least: 3.6, goal: 4.4 }),
    ),
    work.pagedAttention({ B: size(8, 1), Lq: 1, L: L(65_536), ...heads }, { least: 3.6, goal: 4.4 }),
    work.pagedAttention({ B: 1, Lq: 1, L: L(131_072), ...heads, Hq: size(8, 4), Hkv: size(1, 2) }),
    work.pagedAttention({ B: 1, Lq: size(256, 16), L: L(32_768), ...heads }),
    work.linear({ T: size(8192, 64), K: size(8192, 64), N: size(8192, 64) }, { least: 550, goal: 740 }),
    work.linear({ T: size(4096, 64), K: D, N: D }),
    work.linear({ T: size(512, 16), K: D, N: 6 * D }),
    ...[1, 4, 16, 64].flatMap((T) => [
      work.linear({ T, K: D, N: 6 * D }),
      work.linear({ T, K: 3 * D, N: D }),
    ]),
    ...[1, 8, 32].map((T) => work.experts({ T: size(T, 2), ...moe }, { least: 2.0, goal: 4.0 })),
    ...[4096, 16_384].map((T) => work.experts({ T: size(T, 16), ...moe })),
    work.decodeStep(small ? { B: 1, L: 32 } : { B: 1, L: 1024 }, small),
    work.rmsNorm(rows, D),
    work.siluMul(rows, D),
    work.softmax(rows, D),
    // Mamba-2 2.7B: a decode step, prompts
    ...(small
      ? [{ B: 2, L: 1 }]
      : [
          { B: 64, L: 1 },
          { B: 8, L: 2048 },
        ]
    ).map((sizes) => work.causalConv1d({ ...sizes, D: size(5376, 128), W: 4 })),
    work.argmax(size(128, 2), size(151_936, 1000)),
  ];
}
