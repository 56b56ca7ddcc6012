/**
 * Feed-forward blocks: gated (SwiGLU, GEGLU) and plain.
 */
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { gelu, type GeluApproximation } from "../ops/gelu.js";
import { geluMul } from "../ops/geluMul.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import type { Block } from "./part.js";

/** The function between the matrices: silu, or gelu in one of its two formulas. */
export type Activation = "silu" | { readonly gelu: GeluApproximation };

export interface GatedMlpWeights {
  /** F rows of the gate, then F rows of up: [2F, D]; packed with `swiglu` where the activation is silu */
  readonly gateUp: LinearWeight;
  /** [2F] f32 */
  readonly gateUpBias?: Tensor | undefined;
  /** [D, F] */
  readonly down: LinearWeight;
  /** [D] f32 */
  readonly downBias?: Tensor | undefined;
}

/**
 * down(activation(gate(x)) * up(x))
 *
 * @throws ArgumentRangeError a gateUp that is packed for another activation
 */
export function gatedMlpBlock(
  { activation }: { readonly activation: Activation },
  weights: GatedMlpWeights,
): Block {
  if (weights.gateUp.swiglu !== (activation === "silu")) {
    const [expected, got] = activation === "silu" ? ["with", "without"] : ["without", "with"];
    throw new ArgumentRangeError(
      `gatedMlpBlock: gateUp: expected a weight packed ${expected} swiglu, got one ${got}`,
    );
  }
  const run: Block["run"] = (stream, { x, join }) => {
    const gated = linear(stream, x, weights.gateUp, { bias: weights.gateUpBias }); // silu: [T, F], gelu: [T, 2F]
    const hidden = activation === "silu" ? gated : geluMul(stream, gated, { approximate: activation.gelu }); // [T, F]
    join((into) => linear(stream, hidden, weights.down, { bias: weights.downBias, ...into }));
  };
  return { ranks: "tp", run };
}

export interface PlainMlpWeights {
  /** [F, D] */
  readonly up: LinearWeight;
  /** [F] f32 */
  readonly upBias?: Tensor | undefined;
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
