/**
 * Feed-forward blocks: gated (SwiGLU, GEGLU) and plain.
 */
import type { Tensor } from "../device/tensor.js";
import { gelu, type GeluApproximation } from "../ops/gelu.js";
import { geluMul } from "../ops/geluMul.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { siluMul } from "../ops/siluMul.js";
import type { Block } from "./part.js";

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

/** down(activation(gate(x)) * up(x)) */
export function gatedMlpBlock(
  { activation }: { readonly activation: Activation },
  weights: GatedMlpWeights,
): Block {
  const run: Block["run"] = (stream, { x, join }) => {
    const gateUp = linear(stream, x, weights.gateUp, { bias: weights.gateUpBias }); // [T, 2F]
    const hidden =
      activation === "silu"
        ? siluMul(stream, gateUp)
        : geluMul(stream, gateUp, { approximate: activation.gelu }); // [T, F]
    join((into) => linear(stream, hidden, weights.down, { bias: weights.downBias, ...into }));
  };
  return { ranks: "tp", run };
}

export interface PlainMlpWeights {
  /** [F, D] */
  readonly up: LinearWeight;
  /** [F] f32 */
  readonly upBias: Tensor;
  /** [D, F] */
  readonly down: LinearWeight;
  /** [D] f32 */
  readonly downBias?: Tensor | undefined;
}

/** down(gelu(up(x))) */
export function plainMlpBlock(
  { approximate }: { readonly approximate: GeluApproximation },
  weights: PlainMlpWeights,
): Block {
  const run: Block["run"] = (stream, { x, join }) => {
    const hidden = linear(stream, x, weights.up, { bias: weights.upBias }); // [T, F]
    gelu(stream, hidden, { approximate, out: hidden });
    join((into) => linear(stream, hidden, weights.down, { bias: weights.downBias, ...into }));
  };
  return { ranks: "tp", run };
}
