/**
 * Feed-forward parts that transformer.ts takes: their checkpoint names as data, and the block built from them.
 */
import { gatedMlpBlock, type Activation } from "../nn/mlp.js";
import { moeBlock } from "../nn/moe.js";
import type { ModelWeightRow } from "../weights/modelWeights.js";
import type { TransformerMlp } from "./transformer.js";

export interface DenseMlpOptions {
  /** D */
  readonly hiddenSize: number;
  /** F, `intermediate_size` */
  readonly width: number;
  readonly activation: Activation;
  readonly bias: boolean;
  /** Layers that are dense; all if left out. */
  readonly onlyLayers?: readonly number[];
}

/** gate_proj, up_proj and down_proj. */
export function denseMlp(options: DenseMlpOptions): TransformerMlp {
  const { hiddenSize: D, width: F, activation, bias, onlyLayers } = options;
  const [gate, up, down] = ["gate", "up", "down"].map((name) => `model.layers.{layer}.mlp.${name}_proj`);
  const only = onlyLayers ? { onlyLayers } : {};
  const inner = [F, D];
  const matrices: ModelWeightRow[] = [
    {
      slot: "gateUp",
      form: activation === "silu" ? "gatedLinear" : "linear",
      from: [`${gate}.weight`, `${up}.weight`],
      shapes: [inner, inner],
      split: { axis: "outputs" },
      ...only,
    },
    {
      ...{ slot: "down", form: "linear", from: [`${down}.weight`], shapes: [[D, F]], ...only },
      split: { axis: "inputs" },
    },
  ];
  const biases: ModelWeightRow[] = [
    {
      ...{
        slot: "gateUpBias",
        form: "vector",
        from: [`${gate}.bias`, `${up}.bias`],
        shapes: [[F], [F]],
        ...only,
      },
      split: { axis: "outputs" },
    },
    {
      ...{ slot: "downBias", form: "vector", from: [`${down}.bias`], shapes: [[D]], ...only },
      split: { axis: "sum" },
    },
  ];
  return {
    numExperts: 0,
    expertsPerToken: 0,
    rows: bias ? [...matrices, ...biases] : matrices,
    build: (weights, layer) =>
      gatedMlpBlock(
        { activation },
        {
          gateUp: weights.linear("gateUp", layer),
          gateUpBias: weights.optionalVector("gateUpBias", layer),
          down: weights.linear("down", layer),
          downBias: weights.optionalVector("downBias", layer),
        },
      ),
  };
}

export interface SparseMlpOptions {
  /** D */
  readonly hiddenSize: number;
  /** F, of one expert */
  readonly width: number;
  /** E */
  readonly numExperts: number;
  /** K */
  readonly expertsPerToken: number;
  readonly renormalize: boolean;
  /** Checkpoint names with `{layer}`, those of the experts with `{expert}`, too. */
  readonly names: {
    readonly router: string;
    readonly gate: string;
    readonly up: string;
    readonly down: string;
  };
  /** Layers that have experts; all if left out. */
  readonly onlyLayers?: readonly number[];
}

/** Experts chosen by the softmax of a linear router. */
export function sparseMlp(options: SparseMlpOptions): TransformerMlp {
  const { hiddenSize: D, width: F, numExperts, expertsPerToken, renormalize, names, onlyLayers } = options;
  const only = onlyLayers ? { onlyLayers } : {};
  const inner = [F, D];
  return {
    numExperts,
    expertsPerToken,
    rows: [
      { slot: "router", form: "linear", from: [names.router], shapes: [[numExperts, D]], ...only },
      {
        slot: "expertsGateUp",
        form: "gatedExperts",
        from: [names.gate, names.up],
        shapes: [inner, inner],
        split: { axis: "experts" },
        ...only,
      },
      {
        ...{ slot: "expertsDown", form: "experts", from: [names.down], shapes: [[D, F]], ...only },
        split: { axis: "experts" },
      },
    ],
    build: (weights, layer, { experts }) =>
      moeBlock(
        { numExperts, ...(experts && { experts }), topK: expertsPerToken, scores: "softmax", renormalize },
        {
          router: weights.linear("router", layer),
          gateUp: weights.experts("expertsGateUp", layer),
          down: weights.experts("expertsDown", layer),
        },
      ),
  };
}
