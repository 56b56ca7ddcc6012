/**
 * The weights of transformer.ts under their names in a checkpoint, but for the feed-forward part: that is transformerMlp.ts.
 */
import type { ModelWeightRow } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import type { TransformerConfig } from "./transformerConfig.js";

/** Exports of the model without its head (embedding models, base models), and of the language part of larger models. */
export const prefixAlternatives = [
  { from: "model.", to: "" },
  { from: "model.", to: "language_model.model." },
  { from: "model.", to: "model.language_model." },
  { from: "lm_head.", to: "language_model.lm_head." },
];

export function outerRows({
  vocabSize: V,
  hiddenSize: D,
  tiedHead,
  ...config
}: TransformerConfig): ModelWeightRow[] {
  // Embedding models have none: then there is a head for the engine to run, and LLM refuses to generate.
  const tied = { tiedTo: { slot: "embedding", when: tiedHead ? "always" : "missing" } } as const;
  const table = { shapes: [[V, D]], sizeFields: ["vocab_size", "hidden_size"] };
  return [
    { slot: "embedding", form: "embedding", from: ["model.embed_tokens.weight"], ...table, stage: "first" },
    {
      slot: "head",
      form: "linear",
      from: ["lm_head.weight"],
      quantized: "int8",
      ...table,
      stage: "last",
      ...tied,
    },
    ...normRows(config, "finalNorm", "model.norm", D, config.factors.logits).map((row): ModelWeightRow => ({
      ...row,
      stage: "last",
    })),
  ];
}

/** A norm of the stream: its weight, and its bias if it has one. @param factor on its result */
function normRows(
  { normsAddOne, normKind }: Pick<TransformerConfig, "normsAddOne" | "normKind">,
  slot: string,
  name: string,
  size: number,
  factor = 1,
): ModelWeightRow[] {
  const row = (of: string, suffix: string, offset: number): ModelWeightRow => ({
    ...{ slot: of, form: "vector", from: [`${name}.${suffix}`], shapes: [[size]] },
    ...((offset !== 0 || factor !== 1) && { map: (value: number) => (offset + value) * factor }),
  });
  const bias = normKind === "layer" ? [row(`${slot}Bias`, "bias", 0)] : [];
  return [row(slot, "weight", normsAddOne ? 1 : 0), ...bias];
}

/** The norms in front of the parts of a layer and behind them. */
export function layerNormRows(config: TransformerConfig): ModelWeightRow[] {
  const { norms, hiddenSize: D } = config;
  return Object.entries(norms).flatMap(([slot, name]) => {
    return normRows(config, slot, `model.layers.{layer}.${name}`, D);
  });
}

export function attentionRows(config: TransformerConfig): ModelWeightRow[] {
  const { hiddenSize: D, numHeads, numKvHeads, headDim, attentionBias, sinks, qkNorm } = config;
  const [Q, KV] = [numHeads * headDim, numKvHeads * headDim];
  const layer = "model.layers.{layer}";
  const attention = `${layer}.self_attn`;
  const rows: ModelWeightRow[] = [
    { slot: "qkv", form: "linear", ...qkvTensors(config, attention, "weight", [D]) },
    {
      ...{ slot: "attentionOutput", form: "linear", from: [`${attention}.o_proj.weight`], shapes: [[D, Q]] },
      split: { axis: "inputs" },
    },
  ];
  const qkvBias: ModelWeightRow = {
    ...{ slot: "qkvBias", form: "vector", ...qkvTensors(config, attention, "bias", []) },
  };
  const outputBias: ModelWeightRow = {
    ...{ slot: "attentionOutputBias", form: "vector", from: [`${attention}.o_proj.bias`], shapes: [[D]] },
    split: { axis: "sum" },
  };
  const biasRows = { none: [], qkv: [qkvBias], all: [qkvBias, outputBias] }[attentionBias];
  const sinkRow: ModelWeightRow = {
    ...{ slot: "sinks", form: "vector", from: [`${attention}.sinks`], shapes: [[numHeads]] },
    split: { axis: "heads", headDim: 1 },
  };
  // Each rank has the weights of all heads, and computes the norm of all.
  const [ofQ, ofK] = qkNorm === "allHeads" ? [Q, KV] : [headDim, headDim];
  const rms = { ...config, normKind: "rms" as const };
  const headNorms = [
    ...normRows(rms, "qNorm", `${attention}.q_norm`, ofQ),
    ...normRows(rms, "kNorm", `${attention}.k_norm`, ofK),
  ];
  return [...rows, ...biasRows, ...(sinks ? [sinkRow] : []), ...(qkNorm === "none" ? [] : headNorms)];
}

/** The rows of queries, keys and values: of three tensors, or of one. */
function qkvTensors(
  { numHeads, numKvHeads, headDim, fusedQkv, adjacentPairs }: TransformerConfig,
  module: string,
  suffix: "weight" | "bias",
  columns: readonly number[],
): Pick<ModelWeightRow, "from" | "shapes" | "split" | "rowViews"> {
  const heads = [numHeads, numKvHeads, numKvHeads];
  const all = numHeads + 2 * numKvHeads;
  const views = heads.map((count, i): RowView | undefined => {
    const isTurned = adjacentPairs && i < 2;
    if (!fusedQkv && !isTurned) return undefined;
    const start = heads.slice(0, i).reduce((sum, before) => sum + before, 0);
    return {
      axes: [fusedQkv ? all : count, headDim / 2, 2],
      ...(fusedQkv && { take: { axis: 0, start, end: start + count } }),
      ...(isTurned && { order: [0, 2, 1] }),
    };
  });
  return {
    from: (fusedQkv ? ["qkv", "qkv", "qkv"] : ["q", "k", "v"]).map(
      (name) => `${module}.${name}_proj.${suffix}`,
    ),
    shapes: heads.map((count) => [(fusedQkv ? all : count) * headDim, ...columns]),
    split: { axis: "heads", headDim },
    ...((fusedQkv || adjacentPairs) && { rowViews: views }),
  };
}
