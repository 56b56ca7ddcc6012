/**
 * Dense feed-forward parts that transformer.ts takes: their checkpoint names as data, and the block built from them. Those with
 * experts are transformerMoe.ts.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { gatedMlpBlock, plainMlpBlock, type Activation } from "../nn/mlp.js";
import type { GeluApproximation } from "../ops/gelu.js";
import type { ModelWeightRow } from "../weights/modelWeights.js";
import { readActivation } from "./activations.js";
import type { TransformerMlp } from "./transformer.js";

export interface DenseMlpOptions {
  /** D */
  readonly hiddenSize: number;
  /** F, `intermediate_size` */
  readonly width: number;
  readonly activation: Activation;
  readonly bias: boolean;
  /** The checkpoint has gate and up in one tensor, `gate_up_proj`. Default false. */
  readonly fused?: boolean;
  /** Layers that are dense; all if left out. */
  readonly onlyLayers?: readonly number[];
}

/** What `readDenseMlp` reads, for the table of a family. */
export const denseMlpFields: readonly string[] = ["intermediate_size", "hidden_act"];

/** That of every layer, by the fields that all families spell alike. */
export function readDenseMlp(reader: ConfigReader, { bias = false } = {}): TransformerMlp {
  return denseMlp({
    hiddenSize: reader.positiveInt("hidden_size"),
    width: reader.positiveInt("intermediate_size"),
    activation: readActivation(reader),
    bias,
  });
}

/** gate_proj, up_proj and down_proj. */
export function denseMlp(options: DenseMlpOptions): TransformerMlp {
  const { hiddenSize: D, width: F, activation, bias, fused = false, onlyLayers } = options;
  const names = fused ? ["gate_up", "gate_up", "down"] : ["gate", "up", "down"];
  const [gate, up, down] = names.map((name) => `model.layers.{layer}.mlp.${name}_proj`);
  const only = onlyLayers ? { onlyLayers } : {};
  const width = fused ? 2 * F : F; // rows of a tensor
  const views = [0, F].map((start) => ({ axes: [2 * F], take: { axis: 0, start, end: start + F } }));
  const halves = fused ? { rowViews: views } : {};
  const matrices: ModelWeightRow[] = [
    {
      slot: "gateUp",
      form: activation === "silu" ? "gatedLinear" : "linear",
      from: [`${gate}.weight`, `${up}.weight`],
      shapes: [
        [width, D],
        [width, D],
      ],
      split: { axis: "outputs" },
      ...halves,
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
        shapes: [[width], [width]],
        ...halves,
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

export interface PlainMlpOptions {
  /** D */
  readonly hiddenSize: number;
  /** F */
  readonly width: number;
  readonly gelu: GeluApproximation;
  readonly bias: boolean;
}

/** Two matrices with gelu between them: c_fc and c_proj. */
export function plainMlp({ hiddenSize: D, width: F, gelu, bias }: PlainMlpOptions): TransformerMlp {
  const at = "model.layers.{layer}.mlp";
  const matrices: ModelWeightRow[] = [
    {
      ...{ slot: "up", form: "linear", from: [`${at}.c_fc.weight`], shapes: [[F, D]] },
      split: { axis: "outputs" },
    },
    {
      ...{ slot: "down", form: "linear", from: [`${at}.c_proj.weight`], shapes: [[D, F]] },
      split: { axis: "inputs" },
    },
  ];
  const biases: ModelWeightRow[] = [
    {
      ...{ slot: "upBias", form: "vector", from: [`${at}.c_fc.bias`], shapes: [[F]] },
      split: { axis: "outputs" },
    },
    {
      ...{ slot: "downBias", form: "vector", from: [`${at}.c_proj.bias`], shapes: [[D]] },
      split: { axis: "sum" },
    },
  ];
  return {
    numExperts: 0,
    expertsPerToken: 0,
    rows: bias ? [...matrices, ...biases] : matrices,
    build: (weights, layer) =>
      plainMlpBlock(
        { approximate: gelu },
        {
          up: weights.linear("up", layer),
          upBias: weights.optionalVector("upBias", layer),
          down: weights.linear("down", layer),
          downBias: weights.optionalVector("downBias", layer),
        },
      ),
  };
}
