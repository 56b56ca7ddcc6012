/** Random weights of blocks, in float64 for the reference and on the device for the block: the same values. */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { MoeWeights } from "../../lib/nn/moe.js";
import {
  emptyGroupedWeight,
  type GroupedWeight,
  type LinearWeight,
  packExpert,
  packLinear,
} from "../../lib/ops/packLinear.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { GatedMlpWeights, Matrix, MoeWeights as ReferenceWeights } from "../reference/blocks.js";
import type { OpContext } from "./devices.js";
import type { Random } from "./random.js";

export interface Vector {
  readonly values: Float64Array;
  readonly tensor: Tensor;
}

/** Matrices are rounded to `dtype`, vectors are f32, as `loadModel` makes them. */
export class BlockWeights {
  constructor(
    readonly context: OpContext,
    readonly random: Random,
    readonly dtype: FloatDType,
  ) {}

  /** [D] f32: normal values around `mean`. */
  vector(D: number, mean = 0): Vector {
    const values = this.random.normal(D, { std: 0.3 }).map((value) => Math.fround(value + mean));
    return { values, tensor: this.context.tensor("f32", [D], values) };
  }

  /** [C, W] f32, of a convolution that keeps the size of its input. */
  filters(C: number, W: number): Vector {
    const values = this.random.normal(C * W, { std: 1 / Math.sqrt(W) });
    return { values, tensor: this.context.tensor("f32", [C, W], values) };
  }

  /** [N, D], rows of size 1. */
  table(N: number, D: number): Vector {
    const values = this.random.normal(N * D, { dtype: this.dtype });
    return { values, tensor: this.context.tensor(this.dtype, [N, D], values) };
  }

  /** Keeps the size of what it is applied to. */
  matrix(N: number, K: number, bias = false): Matrix {
    const values = this.random.normal(N * K, { dtype: this.dtype, std: 1 / Math.sqrt(K) });
    return { values, N, K, ...(bias && { bias: this.random.normal(N, { std: 0.5 }) }) };
  }

  gated(D: number, F: number, bias = false): GatedMlpWeights {
    return {
      gate: this.matrix(F, D, bias),
      up: this.matrix(F, D, bias),
      down: this.matrix(D, F, bias),
    };
  }

  packed(matrix: Matrix, swiglu = false): LinearWeight {
    return packLinear(this.context.stream, this.#upload(matrix), { swiglu });
  }

  /** On the device, [N] f32. */
  biasOf({ N, bias }: Matrix): Tensor | undefined {
    return bias && this.context.tensor("f32", [N], bias);
  }

  /** One matrix with the rows of all; of two, gate and up, with `swiglu`. */
  stacked(
    matrices: readonly Matrix[],
    swiglu = false,
  ): { readonly weight: LinearWeight; readonly bias: Tensor | undefined } {
    const whole = stack(matrices);
    return { weight: this.packed(whole, swiglu), bias: this.biasOf(whole) };
  }

  /** @param shared is a row of the router where it has a gate */
  experts({ router, experts, shared }: ReferenceWeights): MoeWeights {
    const gate = shared?.outputGate;
    return {
      routerBias: this.biasOf(router),
      router: gate ? this.stacked([router, gate]).weight : this.packed(router),
      gateUp: this.#grouped(
        experts.map(({ gate, up }) => stack([gate, up])),
        true,
      ),
      down: this.#grouped(
        experts.map(({ down }) => down),
        false,
      ),
      gateUpBias: this.#biases(experts.map(({ gate, up }) => stack([gate, up]))),
      downBias: this.#biases(experts.map(({ down }) => down)),
      shared: shared && {
        gateUp: this.stacked([shared.gate, shared.up], true).weight,
        ...{ down: this.packed(shared.down), hasGate: gate !== undefined },
      },
    };
  }

  /** [E, N] f32 */
  #biases(matrices: readonly Matrix[]): Tensor | undefined {
    const { N, bias } = matrices[0]!;
    if (!bias) return undefined;
    const all = Float64Array.from(matrices.flatMap((matrix) => [...matrix.bias!]));
    return this.context.tensor("f32", [matrices.length, N], all);
  }

  #grouped(matrices: readonly Matrix[], swiglu: boolean): GroupedWeight {
    const { N: outputs, K: inputs } = matrices[0]!;
    const shape = { experts: matrices.length, outputs, inputs, dtype: this.dtype, swiglu };
    const group = emptyGroupedWeight(this.context.stream, shape);
    matrices.forEach((matrix, e) => packExpert(this.context.stream, group, e, this.#upload(matrix)));
    return group;
  }

  #upload({ values, N, K }: Matrix): Tensor {
    return this.context.tensor(this.dtype, [N, K], values);
  }
}

function stack(matrices: readonly Matrix[]): Matrix {
  const joined = (parts: readonly Float64Array[]): Float64Array =>
    Float64Array.from(parts.flatMap((part) => [...part]));
  return {
    values: joined(matrices.map(({ values }) => values)),
    N: matrices.reduce((sum, { N }) => sum + N, 0),
    K: matrices[0]!.K,
    ...(matrices[0]!.bias && { bias: joined(matrices.map(({ bias }) => bias!)) }),
  };
}
