/**
 * Shapes of the models that benches run, with what a checkpoint of such a shape contains: its config.json and its tensors
 * by their Hugging Face names.
 */
import type { FloatDType } from "../../lib/device/dtype.js";
import { type Deepseek2Shape, deepseek2Model } from "./families/deepseek2.js";
import { type Gemma3Shape, gemma3Model } from "./families/gemma3.js";
import { type Gpt2Shape, gpt2Model } from "./families/gpt2.js";
import { type GptOssShape, gptOssModel } from "./families/gptOss.js";
import { type Mamba2Shape, mamba2Model } from "./families/mamba2.js";
import { type QwenShape, qwenModel } from "./families/qwen.js";
import type { RandomModel } from "./families/tensors.js";

export type ModelShape = Gpt2Shape | QwenShape | Mamba2Shape | Gemma3Shape | GptOssShape | Deepseek2Shape;

export const modelShapes = {
  "gpt2-124m": {
    family: "gpt2",
    vocabSize: 50_257,
    numLayers: 12,
    hiddenSize: 768,
    numHeads: 12,
    mlpWidth: 3072,
    maxPositions: 1024,
  },
  /** Qwen3-0.6B with a smaller vocabulary, so that the layers weigh most: 473 million parameters. So it is with all below. */
  "qwen3-0.6b": {
    family: "qwen3",
    vocabSize: 32_000,
    numLayers: 28,
    hiddenSize: 1024,
    numHeads: 16,
    numKvHeads: 8,
    headDim: 128,
    mlpWidth: 3072,
    maxPositions: 4096,
  },
  /** Qwen2.5-0.5B: 386 million. */
  "qwen2-0.5b": {
    family: "qwen2",
    vocabSize: 32_000,
    numLayers: 24,
    hiddenSize: 896,
    numHeads: 14,
    numKvHeads: 2,
    headDim: 64,
    mlpWidth: 4864,
    maxPositions: 4096,
  },
  /** As wide as Gemma 3 1B, with fewer layers: 520 million. */
  "gemma3-0.5b": {
    family: "gemma3",
    vocabSize: 32_000,
    numLayers: 18,
    hiddenSize: 1152,
    numHeads: 4,
    numKvHeads: 1,
    headDim: 256,
    mlpWidth: 6912,
    window: 512,
    maxPositions: 4096,
  },
  /** Heads and proportions of gpt-oss: 448 million, of which a token reads 180. */
  "gpt-oss-0.4b": {
    family: "gptOss",
    vocabSize: 32_000,
    numLayers: 12,
    hiddenSize: 768,
    numHeads: 24,
    numKvHeads: 4,
    headDim: 64,
    mlpWidth: 768,
    window: 128,
    numExperts: 16,
    topK: 4,
    maxPositions: 4096,
  },
  /** Half as wide as DeepSeek V2 Lite, with as many layers, which the peer needs to know it: 650 million. */
  "deepseek2-0.6b": {
    family: "deepseek2",
    vocabSize: 32_000,
    numLayers: 27,
    hiddenSize: 1024,
    numHeads: 8,
    nopeDim: 128,
    ropeDim: 64,
    valueDim: 128,
    latentRank: 512,
    mlpWidth: 2816,
    expertWidth: 352,
    numExperts: 16,
    numShared: 2,
    topK: 4,
    maxPositions: 4096,
  },
  /** As wide as Mamba-2 370M, with layers for as many parameters as Qwen3: 455 million. */
  "mamba2-0.6b": {
    family: "mamba2",
    vocabSize: 32_000,
    numLayers: 64,
    hiddenSize: 1024,
    numHeads: 32,
    headDim: 64,
    numGroups: 1,
    stateSize: 128,
    maxPositions: 4096,
  },
  /** Qwen3-8B, but for the tied head. */
  "qwen3-8b": {
    family: "qwen3",
    vocabSize: 151_936,
    numLayers: 36,
    hiddenSize: 4096,
    numHeads: 32,
    numKvHeads: 8,
    headDim: 128,
    mlpWidth: 12_288,
    maxPositions: 40_960,
  },
} as const satisfies Record<string, ModelShape>;

export type ModelShapeName = keyof typeof modelShapes;

const torchDtypes: Readonly<Record<FloatDType, string>> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
};

export function modelOf(shape: ModelShape): RandomModel {
  switch (shape.family) {
    case "gpt2":
      return gpt2Model(shape);
    case "qwen2":
    case "qwen3":
      return qwenModel(shape);
    case "mamba2":
      return mamba2Model(shape);
    case "gemma3":
      return gemma3Model(shape);
    case "gptOss":
      return gptOssModel(shape);
    case "deepseek2":
      return deepseek2Model(shape);
  }
}

/** The fields of config.json. */
export function configOf(shape: ModelShape, dtype: FloatDType): Record<string, unknown> {
  const { config, tied } = modelOf(shape);
  return {
    ...config,
    vocab_size: shape.vocabSize,
    torch_dtype: torchDtypes[dtype],
    tie_word_embeddings: tied,
    bos_token_id: shape.vocabSize - 1,
    eos_token_id: shape.vocabSize - 1,
  };
}
