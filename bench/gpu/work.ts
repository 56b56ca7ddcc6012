/** The pieces of work behind bench:gpu's cases: inputs, the call, what it costs and how PyTorch does the same. */
import { argmax as argmaxOp } from "../../lib/ops/argmax.js";
import { attentionPlan as attentionPlanOp } from "../../lib/ops/attentionPlan.js";
import { causalConv1d as causalConv1dOp } from "../../lib/ops/causalConv1d.js";
import { flashAttention as flashAttentionOp } from "../../lib/ops/flashAttention.js";
import { linear as linearOp } from "../../lib/ops/linear.js";
import { packLinear, type QuantizedFormat } from "../../lib/ops/packLinear.js";
import { pagedAttention as pagedAttentionOp } from "../../lib/ops/pagedAttention.js";
import { rmsNorm as rmsNormOp } from "../../lib/ops/rmsNorm.js";
import { siluMul as siluMulOp } from "../../lib/ops/siluMul.js";
import { softmax as softmaxOp } from "../../lib/ops/softmax.js";
import { ssmScan as ssmScanOp } from "../../lib/ops/ssmScan.js";
import { quantizedWeight } from "../../test/support/quantizedWeights.js";
import { everyBlock, filled, spread } from "../support/inputs.js";
import type { GpuCase, Marks } from "./gpuCase.js";

const dtype = "bf16";
const size = 2; // bytes of an element
const pageSize = 16;
const cacheBytes = 60 * 2 ** 20; // L2 of an H200

interface Heads {
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
}

const mostCopies = 16; // reached by the tiny sizes of the emulator alone, which has no cache

/** How many copies of `bytes` no cache can hold; one, when a single one fills memory's pipes for long. */
export function copiesOf(bytes: number): number {
  return Math.min(Math.max(1, Math.ceil((4 * cacheBytes) / bytes)), mostCopies);
}

/** Calls the next of `calls` each time. */
export function inTurn(calls: readonly (() => void)[]): () => void {
  let next = 0;
  return () => calls[next++ % calls.length]!();
}

export function flashAttention(
  { B, L, Hq, Hkv, Dh, causal }: Heads & { B: number; L: number; causal: boolean },
  marks?: Marks,
): GpuCase {
  return {
    op: "flashAttention",
    shape: `B=${B} L=${L} Hq=${Hq} Hkv=${Hkv} Dh=${Dh}${causal ? " causal" : ""}`,
    dtype,
    bytes: 2 * size * B * L * (Hq + Hkv) * Dh,
    flops: (4 * B * Hq * L * L * Dh) / (causal ? 2 : 1), // as the papers count
    marks,
    setup: (stream) => {
      const make = (heads: number) => filled(stream, dtype, [B * L, heads, Dh]);
      const [q, k, v] = [make(Hq), make(Hkv), make(Hkv)];
      const cuSeqlens = spread(stream, B + 1, B * L + 1, L);
      return () =>
        flashAttentionOp(stream, q, k, v, { cuSeqlensQ: cuSeqlens, cuSeqlensK: cuSeqlens, causal });
    },
    baseline: { kind: "sdpa", dtype, B, Lq: L, L, Hq, Hkv, Dh, causal },
  };
}

/**
 * B sequences of L tokens in scattered pages, the last Lq of which are queries. `every`: a block mask leaves every so manyth block of 64
 * keys, to each KV head others.
 */
export function pagedAttention(
  { B, Lq, L, Hq, Hkv, Dh, every = 1 }: Heads & { B: number; Lq: number; L: number; every?: number },
  marks?: Marks,
): GpuCase {
  const pages = L / pageSize;
  return {
    op: "pagedAttention",
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} Hkv=${Hkv} Dh=${Dh}${every > 1 ? ` 1/${every} of blocks` : ""}`,
    dtype,
    bytes: 2 * size * ((B * L * Hkv * Dh) / every + B * Lq * Hq * Dh),
    flops: (4 * Dh * Hq * B * (Lq * L - (Lq * (Lq - 1)) / 2)) / every,
    marks,
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, Dh]);
      const cache = () => filled(stream, dtype, [B * pages, pageSize, Hkv, Dh]);
      const table = spread(stream, B * pages, B * pages, 7).reshape([B, pages]);
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * Lq + 1, Lq);
      const lengths = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const blockMask = every > 1 ? everyBlock(stream, B * Lq, Hkv, L, every) : undefined;
      const options = { maxQueries: Lq, blockMask };
      const calls = Array.from({ length: copiesOf((2 * size * B * L * Hkv * Dh) / every) }, () => {
        const [k, v] = [cache(), cache()];
        return () => void pagedAttentionOp(stream, q, k, v, table, rows, cuSeqlensQ, lengths, options);
      });
      return inTurn(calls);
    },
    ...(every === 1 && { baseline: { kind: "sdpa", dtype, B, Lq, L, Hq, Hkv, Dh, causal: false } as const }),
  };
}

/** The plan of a decode step by itself: latency, no bytes to speak of. */
export function attentionPlan({ B, L, Hq, Hkv, Dh }: Heads & { B: number; L: number }): GpuCase {
  const pages = L / pageSize;
  return {
    ...{
      op: "attentionPlan",
      shape: `B=${B} L=${L} Hq=${Hq} Hkv=${Hkv} Dh=${Dh}`,
      dtype,
      bytes: 0,
      flops: 0,
    },
    setup: (stream) => {
      const table = spread(stream, B * pages, B * pages, 7).reshape([B, pages]);
      const [rows, cuSeqlensQ] = [spread(stream, B, B), spread(stream, B + 1, B + 1)];
      const lengths = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const sizes = { numQueries: B, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, pageSize, dtype } as const;
      return () => void attentionPlanOp(stream, table, rows, cuSeqlensQ, lengths, sizes);
    },
  };
}

/** `residual`: f32, as the residual stream is. */
export function linear(
  { T, K, N, residual = false }: { T: number; K: number; N: number; residual?: boolean },
  marks?: Marks,
): GpuCase {
  const copies = T <= 64 ? copiesOf(size * N * K) : 1;
  return {
    op: "linear",
    shape: `T=${T} K=${K} N=${N}${residual ? " residual" : ""}`,
    dtype,
    bytes: size * (T * K + N * K) + (residual ? 2 * 4 : size) * T * N,
    flops: 2 * T * N * K,
    marks,
    setup: (stream) => {
      const x = filled(stream, dtype, [T, K]);
      const source = filled(stream, dtype, [N, K]);
      const sums = residual ? filled(stream, "f32", [T, N]) : undefined;
      const into = sums ? { residual: sums, out: sums } : {};
      const calls = Array.from({ length: copies }, () => {
        const weight = packLinear(stream, source);
        return () => void linearOp(stream, x, weight, into);
      });
      return inTurn(calls);
    },
    ...(!residual && { baseline: { kind: "matmul", dtype, T, K, N, copies } as const }),
  };
}

/** Weights of codes: how they are kept, and bits of a number with its share of scales. */
const codedKinds = {
  "int4 in 128": [{ format: "int4", group: 128, scale: "bf16" }, 4.25],
  q4_k: [{ format: "int4", group: 32, scale: "f16u8", offset: "f16u8" }, 4.75],
  mxfp4: [{ format: "fp4", group: 32, scale: "e8m0" }, 4.25],
  q8_0: [{ format: "int8", group: 32, scale: "f16" }, 8.5],
  fp8: [{ format: "fp8", group: 128, scale: "f32" }, 8.5],
} as const satisfies Record<
  string,
  readonly [Partial<QuantizedFormat> & Pick<QuantizedFormat, "format">, number]
>;

/** A product with a weight of codes; the baseline has it in bf16. */
export function codedLinear(
  { kind, T, K, N }: { kind: keyof typeof codedKinds; T: number; K: number; N: number },
  marks?: Marks,
): GpuCase {
  const [format, bits] = codedKinds[kind];
  const bytes = (N * K * bits) / 8;
  const copies = T <= 64 ? copiesOf(bytes) : 1;
  return {
    op: "linear",
    shape: `T=${T} K=${K} N=${N} ${kind}`,
    dtype,
    bytes: size * (T * K + T * N) + bytes,
    flops: 2 * T * N * K,
    marks,
    setup: (stream) => {
      const x = filled(stream, dtype, [T, K]);
      const calls = Array.from({ length: copies }, () => {
        const weight = quantizedWeight(stream.device, format, N, K);
        const { data } = weight.segments[0]!;
        data.write(stream, new Uint8Array(data.numel).fill(0x31)); // finite numbers, whatever they are
        return () => void linearOp(stream, x, weight);
      });
      return inTurn(calls);
    },
    baseline: { kind: "matmul", dtype, T, K, N, copies: T <= 64 ? copiesOf(size * N * K) : 1 },
  };
}

export function rmsNorm(T: number, D: number, marks?: Marks): GpuCase {
  return {
    marks,
    ...{ op: "rmsNorm", shape: `T=${T} D=${D}`, dtype, bytes: 2 * size * T * D, flops: 0 },
    setup: (stream) => {
      const [x, weight] = [filled(stream, dtype, [T, D]), filled(stream, "f32", [D])];
      return () => rmsNormOp(stream, x, weight);
    },
    baseline: { kind: "rms_norm", dtype, T, D },
  };
}

export function siluMul(T: number, F: number, marks?: Marks): GpuCase {
  return {
    marks,
    ...{ op: "siluMul", shape: `T=${T} F=${F}`, dtype, bytes: 3 * size * T * F, flops: 0 },
    setup: (stream) => {
      const x = filled(stream, dtype, [T, 2 * F]);
      return () => siluMulOp(stream, x);
    },
    baseline: { kind: "silu_mul", dtype, T, F },
  };
}

export function softmax(T: number, D: number, marks?: Marks): GpuCase {
  return {
    marks,
    ...{ op: "softmax", shape: `T=${T} D=${D}`, dtype, bytes: 2 * size * T * D, flops: 0 },
    setup: (stream) => {
      const x = filled(stream, dtype, [T, D]);
      return () => softmaxOp(stream, x);
    },
    baseline: { kind: "softmax", dtype, T, D },
  };
}

/** B sequences that go on from their states with L tokens each. */
export function causalConv1d({ B, L, D, W }: { B: number; L: number; D: number; W: number }): GpuCase {
  const T = B * L;
  return {
    ...{ op: "causalConv1d", shape: `B=${B} L=${L} D=${D} W=${W}`, dtype, flops: 2 * T * D * W },
    bytes: 2 * size * D * (T + B * (W - 1)) + 4 * D * (W + 1),
    setup: (stream) => {
      const [x, weight] = [filled(stream, dtype, [T, D]), filled(stream, "f32", [D, W])];
      const options = {
        bias: filled(stream, "f32", [D]),
        activation: "silu",
        cuSeqlensQ: spread(stream, B + 1, T + 1, L),
        contextLens: stream.fromArray("i32", [B], new Int32Array(B).fill(L + 1024)),
        state: filled(stream, dtype, [B, W - 1, D]),
        stateIndices: spread(stream, B, B),
      } as const;
      return () => causalConv1dOp(stream, x, weight, options);
    },
    baseline: { kind: "causal_conv1d", dtype, B, L, D, W },
  };
}

interface ScanShape {
  readonly B: number;
  readonly L: number;
  readonly H: number;
  readonly P: number;
  readonly N: number;
}

/** B sequences that go on from their states with L tokens each; one group. */
export function ssmScan({ B, L, H, P, N }: ScanShape, marks?: Marks): GpuCase {
  const T = B * L;
  const stateBytes = 4 * B * H * N * P;
  return {
    marks,
    ...{ op: "ssmScan", shape: `B=${B} L=${L} H=${H} P=${P} N=${N}`, dtype, flops: 0 },
    bytes: size * T * (2 * H * P + H + 2 * N) + 2 * stateBytes,
    setup: (stream) => {
      const [x, dt] = [filled(stream, dtype, [T, H, P]), filled(stream, dtype, [T, H])];
      const [b, c] = [filled(stream, dtype, [T, 1, N]), filled(stream, dtype, [T, 1, N])];
      const a = stream.fromArray("f32", [H], new Float32Array(H).fill(-1));
      const step = {
        ...{ skip: filled(stream, "f32", [H]), dtBias: filled(stream, "f32", [H]) },
        cuSeqlensQ: spread(stream, B + 1, T + 1, L),
        contextLens: stream.fromArray("i32", [B], new Int32Array(B).fill(L + 1024)),
        stateIndices: spread(stream, B, B),
      };
      const calls = Array.from({ length: copiesOf(2 * stateBytes) }, () => {
        const state = filled(stream, "f32", [B, H, N, P]);
        return () => void ssmScanOp(stream, x, dt, a, b, c, { ...step, state });
      });
      return inTurn(calls);
    },
  };
}

export function argmax(T: number, V: number, marks?: Marks): GpuCase {
  return {
    marks,
    ...{ op: "argmax", shape: `B=${T} V=${V}`, dtype: "f32", bytes: 4 * T * V, flops: 0 },
    setup: (stream) => {
      const logits = filled(stream, "f32", [T, V]);
      return () => argmaxOp(stream, logits);
    },
    baseline: { kind: "argmax", dtype: "f32", T, D: V },
  };
}
