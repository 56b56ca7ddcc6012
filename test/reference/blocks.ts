/**
 * The blocks of lib/nn in float64, composed of the references of the ops: a whole sequence at once, without pages and batches. Each
 * gives what its block adds to the residual stream.
 */
import { clamp } from "./clamp.js";
import { flashAttention } from "./flashAttention.js";
import { gelu } from "./gelu.js";
import { geluMul } from "./geluMul.js";
import { linear } from "./linear.js";
import { moeRoute } from "./moeRoute.js";
import { rmsNorm } from "./rmsNorm.js";
import { rope } from "./rope.js";
import { type Clamp, siluMul } from "./siluMul.js";

export interface Matrix {
  readonly values: Float64Array; // [N, K]
  readonly N: number;
  readonly K: number;
  readonly bias?: Float64Array | undefined; // [N]
}

/** x W^T + bias */
export function product(
  x: Float64Array /* [T, K] */,
  { values, N, K, bias }: Matrix,
): Float64Array /* [T, N] */ {
  return linear(x, values, { T: x.length / K, N, K }, bias ? { bias } : {});
}

export function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

export interface AttentionWeights {
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  readonly output: Matrix;
  readonly qNorm?: Float64Array | undefined; // [Dh], or [Hq * Dh] of all heads
  readonly kNorm?: Float64Array | undefined; // [Dh], or [Hkv * Dh]
  readonly angles?: Angles | undefined;
  readonly sinks?: Float64Array | undefined; // [Hq]
}

export interface Angles {
  readonly table: Float64Array; // [Lmax, R]
  readonly R: number;
  /** Pairs are neighbours. */
  readonly interleaved?: boolean | undefined;
}

export interface AttentionShape {
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly scale: number;
  /** Default: scores as they are. */
  readonly softcap?: number | undefined;
  /** Queries, keys and values are clamped to that, behind norms. */
  readonly clip?: number | undefined;
  /** 0: none */
  readonly window: number;
  /** Of the norms of queries and keys. */
  readonly eps: number;
  /** They run over all heads of a token together, not over each. */
  readonly normsAllHeads?: boolean;
}

/** Causal self-attention of the tokens at positions 0 to T - 1. */
export function attention(
  x: Float64Array, // [T, D]
  weights: AttentionWeights,
  { Hq, Hkv, Dh, scale, softcap, clip = Infinity, window, eps, normsAllHeads = false }: AttentionShape,
): {
  readonly out: Float64Array; // [T, D]
  readonly keys: Float64Array; // [T, Hkv, Dh], as they are cached
  readonly values: Float64Array; // [T, Hkv, Dh]
} {
  const T = x.length / weights.q.K;
  const positions = Int32Array.from({ length: T }, (_, t) => t);
  const { angles, sinks } = weights;
  const heads = (matrix: Matrix, norm: Float64Array | undefined, H: number): Float64Array => {
    let y = product(x, matrix);
    const normed = normsAllHeads ? { T, D: H * Dh } : { T: T * H, D: Dh };
    if (norm) y = rmsNorm(y, norm, normed, { eps }).out;
    y = clamp(y, { limit: clip });
    return angles
      ? rope(
          y,
          positions,
          angles.table,
          { T, H, Dh, R: angles.R },
          { interleaved: angles.interleaved ?? false },
        )
      : y;
  };
  const q = heads(weights.q, weights.qNorm, Hq);
  const keys = heads(weights.k, weights.kNorm, Hkv);
  const values = clamp(product(x, weights.v), { limit: clip });
  const mixed = flashAttention(q, keys, values, { Hq, Hkv, Dh, Dv: Dh }, { scale, softcap, sinks, window });
  return { out: product(mixed.out, weights.output), keys, values };
}

export type Activation = "silu" | { readonly gelu: "tanh" | "none" };

export interface GatedMlpWeights {
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

/** down(activation(gate(x)) * up(x)) */
export function gatedMlp(
  x: Float64Array, // [T, D]
  weights: GatedMlpWeights,
  activation: Activation,
  clamp?: Clamp,
): Float64Array /* [T, D] */ {
  const { N: F, K: D } = weights.gate;
  const T = x.length / D;
  const [gate, up] = [product(x, weights.gate), product(x, weights.up)];
  const both = new Float64Array(2 * T * F);
  for (let t = 0; t < T; t++) {
    both.set(gate.subarray(t * F, (t + 1) * F), 2 * t * F);
    both.set(up.subarray(t * F, (t + 1) * F), (2 * t + 1) * F);
  }
  const hidden =
    activation === "silu"
      ? siluMul(both, { T, F }, { clamp })
      : geluMul(both, { T, F }, { approximate: activation.gelu });
  return product(hidden, weights.down);
}

/** down(gelu(up(x))) */
export function plainMlp(
  x: Float64Array, // [T, D]
  weights: { readonly up: Matrix; readonly down: Matrix },
  approximate: "tanh" | "none",
): Float64Array /* [T, D] */ {
  return product(gelu(product(x, weights.up), { approximate }), weights.down);
}

export interface MoeWeights {
  readonly router: Matrix;
  readonly experts: readonly GatedMlpWeights[];
  /** An expert of every token, and the matrix [1, D] whose sigmoid it counts. */
  readonly shared?: (GatedMlpWeights & { readonly outputGate?: Matrix | undefined }) | undefined;
}

/** shared(x) + sum over k of weight[k] * mlp(x) of expert experts[k] */
export function moe(
  x: Float64Array, // [T, D]
  { router, experts, shared }: MoeWeights,
  {
    K,
    clamp,
    ...options
  }: { readonly K: number; readonly clamp?: Clamp | undefined } & Parameters<typeof moeRoute>[2],
): { readonly out: Float64Array /* [T, D] */; readonly experts: Int32Array /* [T, K] */ } {
  const { N: E, K: D } = router;
  const T = x.length / D;
  const routing = moeRoute(product(x, router), { T, E, K }, options);
  const out = shared ? gatedMlp(x, shared, "silu") : new Float64Array(T * D);
  const gates = shared?.outputGate && product(x, shared.outputGate); // [T, 1]
  for (let t = 0; t < T; t++) {
    if (gates) for (let d = 0; d < D; d++) out[t * D + d]! /= 1 + Math.exp(-gates[t]!);
    for (let k = 0; k < K; k++) {
      const y = gatedMlp(
        x.subarray(t * D, (t + 1) * D),
        experts[routing.experts[t * K + k]!]!,
        "silu",
        clamp,
      );
      for (let d = 0; d < D; d++) out[t * D + d]! += routing.weights[t * K + k]! * y[d]!;
    }
  }
  return { out, experts: routing.experts };
}
