/**
 * The attention of DeepSeek V2 and V3, from their configs and checkpoints: latents of keys and values, which lib/nn/mla.ts attends to.
 *
 * Paper: "DeepSeek-V2" (arXiv 2405.04434), section 2.1.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { latentAttentionBlock } from "../nn/mla.js";
import { ropeTable } from "../nn/ropeTable.js";
import type { ModelWeightRow } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import { checkHeadDim } from "./limits.js";
import type { RopeConfig } from "./ropeConfig.js";
import { readTransformerConfig, type TransformerDefaults, transformerFields } from "./transformer.js";
import type { TransformerAttention } from "./transformerAttention.js";
import type { TransformerConfig } from "./transformerConfig.js";

/** What `readDeepseekAttention` and `readDeepseekConfig` read. */
export const deepseekAttentionFields: readonly string[] = [
  ...transformerFields.filter((field) => field !== "head_dim"),
  ...["q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"],
];

/** Widths of heads, which other fields say, and what is of training alone. */
export const deepseekIrrelevant: readonly string[] = [
  ...["head_dim", "qk_head_dim"],
  ...[
    "pretraining_tp",
    "ep_size",
    "aux_loss_alpha",
    "seq_aux",
    "router_aux_loss_coef",
    "output_router_logits",
  ],
];

/** The config without its attention: what is rotated is a part of each head, of a width of its own. */
export function readDeepseekConfig(reader: ConfigReader, defaults: TransformerDefaults): TransformerConfig {
  const rotatedDim = checkHeadDim(reader, "qk_rope_head_dim", reader.positiveInt("qk_rope_head_dim", 64));
  return readTransformerConfig(reader, { ...defaults, fixedHeadDim: rotatedDim });
}

interface LatentShape {
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly plainDim: number;
  readonly rotatedDim: number;
  readonly valueDim: number;
  readonly rank: number;
  readonly queryRank: number;
  /** Pairs that are rotated stand side by side in a checkpoint. */
  readonly adjacentPairs: boolean;
}

/** Of the norms of latents, whatever `rms_norm_eps` says: so it is in the published code. */
const latentNormEps = 1e-6;

export function readDeepseekAttention(
  reader: ConfigReader,
  { hiddenSize, numHeads, headDim: rotatedDim, rope }: TransformerConfig,
  { adjacentPairs }: { readonly adjacentPairs: boolean },
): TransformerAttention {
  const width = (field: string, fallback: number) =>
    checkHeadDim(reader, field, reader.positiveInt(field, fallback));
  const shape: LatentShape = {
    ...{ hiddenSize, numHeads, rotatedDim, adjacentPairs },
    rank: readRank(reader, rotatedDim),
    queryRank: reader.nullablePositiveInt("q_lora_rank", 1536) ?? 0,
    plainDim: width("qk_nope_head_dim", 128),
    valueDim: width("v_head_dim", 128),
  };
  const { plainDim, queryRank } = shape;
  const headDim = plainDim + rotatedDim;
  return {
    ...{ numKvHeads: numHeads, headDim, valueDim: shape.valueDim, rows: attentionRows(shape) },
    build: (weights, layer, { rank, dtype, angles }) =>
      latentAttentionBlock(
        {
          ...{ ...shape, dtype, numHeads: rank.numHeads, normEps: latentNormEps },
          scale: headDim ** -0.5 * softmaxFactor(rope),
        },
        {
          latents: weights.linear("latents", layer),
          queries: weights.linear("queries", layer),
          queryNorm: queryRank > 0 ? weights.vector("queryNorm", layer) : undefined,
          latentNorm: weights.vector("latentNorm", layer),
          absorbedKeys: weights.heads("absorbedKeys", layer),
          values: weights.heads("values", layer),
          ropeTable: angles,
          output: weights.linear("attentionOutput", layer),
        },
      ),
  };
}

/** R; attention reads a latent beside its rotated key. */
function readRank(reader: ConfigReader, rotatedDim: number): number {
  const rank = checkHeadDim(reader, "kv_lora_rank", reader.positiveInt("kv_lora_rank", 512));
  if (rank + rotatedDim > widestLatent) {
    reader.fail("kv_lora_rank", `at most ${widestLatent} with qk_rope_head_dim (${rotatedDim})`);
  }
  return rank;
}

/** What attention takes. */
const widestLatent = 576;

/** Of yarn, which scales products of queries and keys and not their rotated parts alone. */
function softmaxFactor(rope: RopeConfig): number {
  return ropeTable({ ...rope, maxLength: 1 }).softmaxScaleFactor;
}

function attentionRows(shape: LatentShape): ModelWeightRow[] {
  const { hiddenSize: D, numHeads: H, plainDim, rotatedDim, valueDim, rank, queryRank } = shape;
  const attention = "model.layers.{layer}.self_attn";
  const [ofKeys, ofQueries] = [
    `${attention}.kv_a_proj_with_mqa.weight`,
    `${attention}.${queryRank > 0 ? "q_b_proj" : "q_proj"}.weight`,
  ];
  const headDim = plainDim + rotatedDim;
  const [keyShape, queryShape] = [
    [rank + rotatedDim, D],
    [H * headDim, queryRank || D],
  ];
  const ownLatents = queryRank > 0;
  const norm = (slot: string, name: string, size: number): ModelWeightRow => ({
    ...{ slot, form: "vector", from: [`${attention}.${name}.weight`], shapes: [[size]] },
  });
  return [
    {
      ...{ slot: "latents", form: "linear" },
      from: [...(ownLatents ? [`${attention}.q_a_proj.weight`] : []), ofKeys, ofKeys],
      shapes: [...(ownLatents ? [[queryRank, D]] : []), keyShape, keyShape],
      rowViews: [...(ownLatents ? [undefined] : []), ...halves(1, rank, shape)],
    },
    {
      ...{ slot: "queries", form: "linear", from: [ofQueries, ofQueries], shapes: [queryShape, queryShape] },
      rowViews: halves(H, plainDim, shape),
      split: { axis: "heads", headDim: [plainDim, rotatedDim] },
    },
    ...(ownLatents ? [norm("queryNorm", "q_a_layernorm", queryRank)] : []),
    norm("latentNorm", "kv_a_layernorm", rank),
    ...headRows(`${attention}.kv_b_proj.weight`, shape),
    {
      ...{ slot: "attentionOutput", form: "linear", from: [`${attention}.o_proj.weight`] },
      ...{ shapes: [[D, H * valueDim]], split: { axis: "inputs" } },
    },
  ];
}

/** Of rows that are a plain part and a rotated one, times so many heads: all plain parts, and all rotated ones with their pairs apart. */
function halves(heads: number, plain: number, { rotatedDim, adjacentPairs }: LatentShape): RowView[] {
  const width = plain + rotatedDim;
  return [
    { axes: [heads, width], take: { axis: 1, start: 0, end: plain } },
    adjacentPairs
      ? {
          ...{ axes: [heads, width / 2, 2], take: { axis: 1, start: plain / 2, end: width / 2 } },
          order: [0, 2, 1],
        }
      : { axes: [heads, width], take: { axis: 1, start: plain, end: width } },
  ];
}

/** W_uk and W_uv of each head, which take turns in one tensor. */
function headRows(name: string, { numHeads: H, plainDim, valueDim, rank }: LatentShape): ModelWeightRow[] {
  const width = plainDim + valueDim;
  const tensor = { from: [name], shapes: [[H * width, rank]] };
  const rows = (start: number, end: number): Pick<ModelWeightRow, "rowViews" | "split"> => ({
    rowViews: [{ axes: [H, width], take: { axis: 1, start, end }, order: [0, 1] }],
    split: { axis: "heads", headDim: end - start },
  });
  return [
    { slot: "absorbedKeys", form: "turnedHeads", ...tensor, ...rows(0, plainDim) },
    { slot: "values", form: "heads", ...tensor, ...rows(plainDim, width) },
  ];
}
