/**
 * The attention of DeepSeek V2 and V3, from their configs and checkpoints: latents of keys and values, which lib/nn/mla.ts attends to; in
 * V3.2 to those that an indexer chooses.
 *
 * Paper: "DeepSeek-V2" (arXiv 2405.04434), section 2.1.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { indexer, type IndexerConfig } from "../nn/indexer.js";
import { latentAttentionBlock } from "../nn/mla.js";
import { ropeTable } from "../nn/ropeTable.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import { checkHeadDim } from "./limits.js";
import type { RopeConfig } from "./ropeConfig.js";
import { readTransformerConfig, type TransformerDefaults, transformerFields } from "./transformer.js";
import type { AttentionContext, TransformerAttention } from "./transformerAttention.js";
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

/** Of the norms of latents and of an indexer's keys, whatever `rms_norm_eps` says: so it is in the published code. */
const latentNormEps = 1e-6;

/** Of the config of an indexer what follows from config.json. */
export type IndexerShape = Pick<IndexerConfig, "numHeads" | "headDim" | "topK">;

export function readDeepseekAttention(
  reader: ConfigReader,
  { hiddenSize, numHeads, headDim: rotatedDim, rope }: TransformerConfig,
  { adjacentPairs, index }: { readonly adjacentPairs: boolean; readonly index?: IndexerShape },
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
  if (index && queryRank === 0) reader.fail("q_lora_rank", "latents of queries, which the indexer reads");
  const headDim = plainDim + rotatedDim;
  return {
    ...{ numKvHeads: numHeads, headDim, valueDim: shape.valueDim },
    rows: [...attentionRows(shape), ...(index ? indexRows(shape, index) : [])],
    build: (weights, layer, context) =>
      latentAttentionBlock(
        {
          ...{ ...shape, numHeads: context.rank.numHeads, normEps: latentNormEps },
          ...{ dtype: context.dtype, kvDtype: context.kvDtype },
          scale: headDim ** -0.5 * softmaxFactor(rope),
        },
        {
          latents: weights.linear("latents", layer),
          queries: weights.linear("queries", layer),
          queryNorm: queryRank > 0 ? weights.vector("queryNorm", layer) : undefined,
          latentNorm: weights.vector("latentNorm", layer),
          absorbedKeys: weights.heads("absorbedKeys", layer),
          keys: weights.optionalHeads("keys", layer),
          values: weights.heads("values", layer),
          ropeTable: context.angles,
          output: weights.linear("attentionOutput", layer),
        },
        index && indexerOf(weights, layer, context, { ...index, rotatedDim }),
      ),
  };
}

/** None where no context is longer than what an indexer chooses: then it would choose all. */
function indexerOf(
  weights: ModelWeights,
  layer: number,
  { dtype, angles }: AttentionContext,
  shape: IndexerShape & { readonly rotatedDim: number },
): ReturnType<typeof indexer> | undefined {
  if (angles.size(0) <= shape.topK) return undefined;
  return indexer(
    { ...shape, normEps: latentNormEps, dtype },
    {
      queries: weights.linear("indexQueries", layer),
      keys: weights.linear("indexKeys", layer),
      keyNorm: weights.vector("indexKeyNorm", layer),
      keyNormBias: weights.vector("indexKeyNormBias", layer),
      weights: weights.linear("indexWeights", layer),
      ropeTable: angles,
    },
  );
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

/** Every rank has all of an indexer. */
function indexRows(
  { hiddenSize: D, queryRank }: LatentShape,
  { numHeads, headDim }: IndexerShape,
): ModelWeightRow[] {
  const tensor = "model.layers.{layer}.self_attn.indexer";
  const row = (
    slot: string,
    form: "linear" | "vector",
    name: string,
    ...shape: number[]
  ): ModelWeightRow => ({
    ...{ slot, form, from: [`${tensor}.${name}`], shapes: [shape], quantized: "never" },
  });
  return [
    row("indexQueries", "linear", "wq_b.weight", numHeads * headDim, queryRank),
    row("indexKeys", "linear", "wk.weight", headDim, D),
    row("indexKeyNorm", "vector", "k_norm.weight", headDim),
    row("indexKeyNormBias", "vector", "k_norm.bias", headDim),
    row("indexWeights", "linear", "weights_proj.weight", numHeads, D),
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

/** W_uk and W_uv of each head, which take turns in one tensor. W_uk is there twice where prompts may be up-projected. */
function headRows(name: string, { numHeads: H, plainDim, valueDim, rank }: LatentShape): ModelWeightRow[] {
  const width = plainDim + valueDim;
  const tensor = { from: [name], shapes: [[H * width, rank]] };
  const rows = (start: number, end: number): Pick<ModelWeightRow, "rowViews" | "split"> => ({
    rowViews: [{ axes: [H, width], take: { axis: 1, start, end }, order: [0, 1] }],
    split: { axis: "heads", headDim: end - start },
  });
  return [
    { slot: "absorbedKeys", form: "turnedHeads", ...tensor, ...rows(0, plainDim) },
    { slot: "keys", form: "heads", ...tensor, ...rows(0, plainDim), unlessChunksKeepBits: true },
    { slot: "values", form: "heads", ...tensor, ...rows(plainDim, width) },
  ];
}
