/**
 * Feed-forward blocks: gated (SwiGLU, GEGLU) and plain.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { gelu, type GeluApproximation } from "../ops/gelu.js";
import { geluMul } from "../ops/geluMul.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { siluMul } from "../ops/siluMul.js";

/** Told which experts the tokens of a step go to: experts [T, K] i32, a step temporary (read or copy it at once). */
export type ExpertsObserver = (experts: Tensor) => void;

/**
 * Reads x [T, D] in the activation dtype and adds its result to `residual` [T, D] f32. Blocks without experts have
 * nothing to tell an observer.
 */
export type MlpBlock = (stream: Stream, x: Tensor, residual: Tensor, observe?: ExpertsObserver) => void;

/** The function between the matrices: silu, or gelu in one of its two formulas. */
export type Activation = "silu" | { readonly gelu: GeluApproximation };

export interface GatedMlpWeights {
  /** F rows of the gate, then F rows of up: [2F, D] */
  readonly gateUp: LinearWeight;
  /** [2F] f32 */
  readonly gateUpBias?: Tensor | undefined;
  /** [D, F] */
  readonly down: LinearWeight;
  /** [D] f32 */
  readonly downBias?: Tensor | undefined;
}

/** residual += down(activation(gate(x)) * up(x)) */
export function gatedMlpBlock(
  { activation }: { readonly activation: Activation },
  weights: GatedMlpWeights,
): MlpBlock {
  return (stream, x, residual) => {
    const gateUp = linear(stream, x, weights.gateUp, { bias: weights.gateUpBias }); // [T, 2F]
    const hidden =
      activation === "silu"
        ? siluMul(stream, gateUp)
        : geluMul(stream, gateUp, { approximate: activation.gelu }); // [T, F]
    linear(stream, hidden, weights.down, { bias: weights.downBias, residual, out: residual });
  };
}

export interface PlainMlpWeights {
  /** [F, D] */
  readonly up: LinearWeight;
  /** [F] f32 */
  readonly upBias: Tensor;
  /** [D, F] */
  readonly down: LinearWeight;
  /** [D] f32 */
  readonly downBias: Tensor;
}

/** residual += down(gelu(up(x))) */
export function plainMlpBlock(
  { approximate }: { readonly approximate: GeluApproximation },
  weights: PlainMlpWeights,
): MlpBlock {
  return (stream, x, residual) => {
    const hidden = linear(stream, x, weights.up, { bias: weights.upBias }); // [T, F]
    gelu(stream, hidden, { approximate, out: hidden });
    linear(stream, hidden, weights.down, { bias: weights.downBias, residual, out: residual });
  };
}
