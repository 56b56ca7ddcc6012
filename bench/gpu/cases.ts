/**
 * What bench:gpu times: the shapes of the release's targets, each with its PyTorch counterpart. Work that a cache could hold
 * is spread over copies, so that every call reads memory as a decode step does.
 */
import type { GpuCase, Marks } from "./gpuCase.js";
import { experts, moeCount } from "./expertWork.js";
import { headLinear, latentPrompt, mlaAttention } from "./latentWork.js";
import * as sparse from "./sparseWork.js";
import { attentionMerge } from "./merge.js";
import * as work from "./work.js";

// Predictions: a review of the kernels' machine code, with the public figures of an H100 (3.35 TB/s) and an H200 (4.8 TB/s).
const same = (from: number, to: number): Marks => ({ h100: [from, to], h200: [from, to] });
type Range = readonly [number, number];
const marks = (h100: Range, h200: Range): Marks => ({ h100, h200 });

/** The full size of something, or the tiny one. */
type Size = (full: number, tiny: number) => number;

/** `small` shrinks every size: the same code on the emulator, to see that it runs. */
export function gpuCases(small: boolean): GpuCase[] {
  const size: Size = (full, tiny) => (small ? tiny : full);
  const D = size(4096, 128);
  return [
    ...[...attentionCases(size), ...indexerCases(size), ...linearCases(size, D)],
    ...[...expertCases(size), ...rowCases(size, D)],
  ];
}

function attentionCases(size: Size): GpuCase[] {
  const L = (tokens: number): number => size(tokens, 64);
  const heads = { Hq: size(64, 4), Hkv: size(8, 2), Dh: size(128, 64) };
  const decode: Marks = { asked: [3.6, 4.4], ...marks([2.7, 2.9], [3.5, 3.9]) };
  // Tiles of 64 rows, two blocks per multiprocessor: docs/performance.md says how they were predicted.
  const verify: Marks = { asked: [3.6, 4.4], ...marks([2.2, 2.6], [2.9, 3.5]) };
  const long = { ...heads, Hq: size(8, 4), Hkv: size(1, 2) };
  return [
    work.flashAttention({ B: 2, L: L(2048), ...heads, causal: true }, same(330, 400)),
    work.flashAttention(
      { B: 2, L: L(8192), ...heads, causal: true },
      { asked: [400, 655], ...same(540, 610) },
    ),
    work.flashAttention({ B: 2, L: L(8192), ...heads, causal: false }),
    work.flashAttention({ B: 2, L: L(16_384), ...heads, causal: true }),
    ...[1, 2].map((Lq) => work.pagedAttention({ B: size(64, 2), Lq, L: L(8192), ...heads }, decode)),
    work.pagedAttention({ B: size(128, 3), Lq: 1, L: L(8192), ...heads }, marks([2.1, 2.4], [2.8, 3.2])),
    ...[4, 8].map((Lq) => work.pagedAttention({ B: size(64, 2), Lq, L: L(8192), ...heads }, verify)),
    work.pagedAttention({ B: size(16, 2), Lq: 8, L: L(8192), ...heads }, verify),
    work.pagedAttention({ B: 1, Lq: 1, L: L(131_072), ...long }, marks([1.4, 1.7], [1.6, 2.0])),
    work.pagedAttention({ B: 1, Lq: size(256, 16), L: L(32_768), ...heads }, same(400, 550)), // "3-5x" of the 100 to 150 of mma.sync
    ...[4, 16].map((every) => work.pagedAttention({ B: size(64, 2), Lq: 1, L: L(8192), ...heads, every })),
    work.pagedAttention({ B: 1, Lq: size(256, 16), L: L(32_768), ...heads, every: 4 }),
    ...latentCases(size),
    ...[4, 16].map((spans) => attentionMerge({ spans: size(spans, 2), ...heads })),
    ...[1, 16, 64, 256].map((B) => work.attentionPlan({ B: size(B, 2), L: L(8192), ...heads })),
  ];
}

/**
 * Heads of DeepSeek-V2-Lite, and of V3 whole, on two GPUs and on four; the last two are V3.2's, whole and on eight.
 * docs/kernels/mla_attention.md says how they were predicted.
 */
function latentCases(size: Size): GpuCase[] {
  const latent = { L: size(8192, 64), R: size(512, 48), Dr: size(64, 32) };
  const rows = (B: number, Lq: number, Hq: number) => ({ ...latent, B: size(B, 2), Lq, Hq: size(Hq, 4) });
  return [
    mlaAttention(rows(64, 1, 16), { asked: [2.5, 4.3], ...marks([2.7, 3.0], [3.8, 4.3]) }),
    mlaAttention(rows(64, 1, 32), { asked: [2.5, 4.3], ...marks([2.4, 2.9], [3.0, 4.0]) }),
    mlaAttention(rows(64, 1, 64), { asked: [2.5, 4.3], ...marks([2.2, 2.7], [2.7, 3.6]) }),
    mlaAttention(rows(64, 1, 128), { asked: [300, 650], ...same(380, 480) }),
    mlaAttention(rows(64, 2, 128), { asked: [300, 650], ...same(380, 480) }),
    mlaAttention({ ...rows(1, 1, 16), L: size(131_072, 64) }, marks([1.2, 1.8], [1.4, 2.2])),
    mlaAttention({ ...rows(64, 1, 16), topK: size(2048, 40) }, marks([2.2, 2.8], [2.9, 3.9])),
    mlaAttention({ ...rows(64, 1, 128), topK: size(2048, 40) }, same(200, 300)),
    ...promptCases(size),
    ...headCases(size),
  ];
}

/** Of V3, from the first token on, and behind as many that are cached. */
function promptCases(size: Size): GpuCase[] {
  const widths = { R: size(512, 48), Dn: size(128, 32), Dr: size(64, 16), Dv: size(128, 32) };
  const heads = { ...widths, H: size(128, 4), n: size(4096, 70) };
  return [
    latentPrompt({ ...heads, c: 0 }, { asked: [400, 520], ...same(410, 480) }),
    latentPrompt({ ...heads, c: size(4096, 64) }, same(465, 530)),
  ];
}

/** W_uk in queries and W_uv behind the result, of V2-Lite and of V3: docs/kernels/head_linear.md has the floors. */
function headCases(size: Size): GpuCase[] {
  const [R, Dh] = [size(512, 64), size(128, 32)];
  const both = (tokens: number, heads: number): GpuCase[] => {
    const [T, H] = [size(tokens, 3), size(heads, 4)];
    return [headLinear({ T, H, K: Dh, N: R }), headLinear({ T, H, K: R, N: Dh })];
  };
  return [...both(1, 16), ...both(1, 128), ...both(64, 128), ...both(4096, 128)];
}

/**
 * DeepSeek V3.2. Asked: 200 us for one query of 128K keys, with a copy of the keys each time; rates are of its 33.5 MB, and
 * predictions of an H200 (native/ops/indexer_top_k/indexer_top_k.cu) scaled to an H100 by its bandwidth.
 */
function indexerCases(size: Size): GpuCase[] {
  const L = size(131_072, 640);
  const shape = { Hi: size(64, 4), Di: size(128, 32), topK: size(2048, 50) };
  return [
    sparse.indexerTopK(
      { B: 1, Lq: 1, L, ...shape },
      { asked: [0.17, 0.4], ...marks([0.35, 0.5], [0.37, 0.56]) },
    ),
    sparse.indexerTopK({ B: size(16, 2), Lq: 1, L, ...shape }, marks([2.0, 2.5], [2.8, 3.6])),
    sparse.indexerTopK({ B: 1, Lq: size(2048, 3), L, ...shape }, same(250, 330)),
  ];
}

function linearCases(size: Size, D: number): GpuCase[] {
  const square = size(8192, 64);
  const streams = [
    { T: 1, expected: marks([2.7, 2.9], [3.7, 4.0]) },
    { T: 4, expected: marks([2.5, 2.8], [3.4, 3.8]) },
    { T: 16, expected: marks([2.4, 2.7], [3.2, 3.6]) },
    // Where blocks share K: what the kernel's estimate says, up to a quarter less.
    { T: 64, expected: marks([2.2, 2.8], [3.0, 3.8]), down: marks([2.2, 2.8], [3.0, 3.9]) },
  ];
  return [
    work.linear({ T: square, K: square, N: square }, { asked: [550, 740], ...marks([660, 740], [650, 730]) }),
    work.linear({ T: size(4096, 64), K: D, N: D }),
    // The residual of 4096 k costs a tenth of the square's rate, that of 12288 k a thirtieth.
    work.linear({ T: size(8192, 64), K: D, N: D, residual: true }, marks([590, 670], [585, 660])),
    work.linear({ T: size(8192, 64), K: 3 * D, N: D, residual: true }, marks([640, 715], [630, 705])),
    work.linear({ T: size(512, 16), K: D, N: 6 * D }, same(590, 680)),
    ...streams.flatMap(({ T, expected, down }) => [
      work.linear({ T, K: D, N: 6 * D }, expected),
      work.linear({ T, K: 3 * D, N: D }, down),
    ]),
    work.linear({ T: size(128, 16), K: D, N: D }, marks([1.9, 2.5], [2.3, 3.0])),
    work.linear({ T: size(256, 16), K: D, N: D }, marks([1.4, 1.8], [320, 410])),
    ...[128, 256].flatMap((T) =>
      [D, 3 * D].map((K) => work.linear({ T: size(T, 32), K, N: D, residual: true })),
    ),
    work.linear({ T: size(128, 16), K: D, N: 6 * D }, marks([2.1, 2.7], [2.6, 3.3])),
    work.linear({ T: size(256, 16), K: D, N: 6 * D }, marks([1.9, 2.5], [510, 670])),
    ...codedCases(size, D),
  ];
}

/** Beside bf16: int4 at least 2.5 times as fast up to 16 rows, and 1.5 times with 64 (goal 3.5); in bytes of codes that is 1.6 TB/s. */
function codedCases(size: Size, D: number): GpuCase[] {
  const few: Marks = { asked: [1.7, 3.6], ...marks([2.0, 2.5], [2.7, 3.4]) };
  const kinds = ["int4 in 128", "q4_k", "mxfp4", "q8_0", "fp8"] as const;
  return [
    ...kinds.flatMap((kind) => [1, 16].map((T) => work.codedLinear({ kind, T, K: D, N: 6 * D }, few))),
    work.codedLinear({ kind: "int4 in 128", T: size(64, 20), K: D, N: 6 * D }),
    work.codedLinear({ kind: "int4 in 128", T: size(4096, 80), K: D, N: 6 * D }),
  ];
}

const clamp = { limit: 7, alpha: 1.702 };

/** Qwen3-30B-A3B, and gpt-oss-20b with experts in bf16 */
function expertCases(size: Size): GpuCase[] {
  const moe = { E: size(128, 4), topK: size(8, 2), D: size(2048, 64), F: size(768, 32) };
  const gptOss = { E: size(32, 4), topK: size(4, 2), D: size(2880, 64), F: size(2880, 32), clamp };
  const some: Marks = { asked: [2.0, 4.0], ...marks([2.7, 2.9], [3.5, 3.9]) };
  return [
    experts({ T: 1, ...moe }, { asked: [2.0, 4.0], ...marks([2.1, 2.4], [2.6, 3.1]) }),
    ...[8, 32].map((T) => experts({ T: size(T, 2), ...moe }, some)),
    experts({ T: size(4096, 16), ...moe }, same(400, 500)),
    experts({ T: size(16_384, 16), ...moe }, same(520, 600)),
    experts({ T: size(32, 2), ...gptOss }, { asked: [2.0, 4.0] }),
    experts({ T: size(4096, 16), ...gptOss }),
    ...[1, 32, 4096].map((T) => moeCount({ ...moe, T: size(T, 2) })),
  ];
}

function rowCases(size: Size, D: number): GpuCase[] {
  const rows = size(16_384, 4);
  const mamba = { D: size(5376, 128), W: 4 }; // Mamba-2 2.7B: a decode step, prompts
  const scan = { H: size(80, 2), P: 64, N: size(128, 32) };
  return [
    work.rmsNorm(rows, D, marks([2.6, 2.8], [3.4, 3.8])),
    work.siluMul(rows, D, marks([2.6, 2.8], [3.5, 3.8])),
    work.softmax(rows, D, marks([2.5, 2.8], [3.3, 3.7])),
    work.causalConv1d({ B: size(64, 2), L: 1, ...mamba }),
    work.causalConv1d({ B: size(8, 1), L: size(2048, 3), ...mamba }),
    work.ssmScan({ B: size(64, 2), L: 1, ...scan }, marks([2.3, 2.7], [3.2, 3.8])),
    // Asked: 60 % of a copy.
    work.ssmScan(
      { B: size(8, 1), L: size(2048, 3), ...scan },
      { asked: [2.4, 4.0], ...marks([0.2, 0.3], [0.2, 0.3]) },
    ),
    work.argmax(size(128, 2), size(151_936, 1000), marks([2.1, 2.5], [2.8, 3.2])),
  ];
}
