/** The random Qwen3 checkpoint of support/randomCheckpoint.ts in the peer's format: the same values, other names. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import {
  type ModelShape,
  modelShapes,
  qwen3NormEps,
  qwen3RopeTheta,
  tensorsOf,
} from "../support/modelShapes.js";
import { outputFolder } from "../support/randomCheckpoint.js";
import { RandomValues } from "../support/randomValues.js";
import { type GgufTensor, type GgufValue, writeGguf } from "./gguf.js";

/** Hugging Face name to GGUF name, without ".weight"; "{}" is "model.layers.N" and "blk.N". */
const names: readonly (readonly [string, string])[] = [
  ["model.embed_tokens", "token_embd"],
  ["model.norm", "output_norm"],
  ["{}.input_layernorm", "{}.attn_norm"],
  ["{}.self_attn.q_proj", "{}.attn_q"],
  ["{}.self_attn.k_proj", "{}.attn_k"],
  ["{}.self_attn.v_proj", "{}.attn_v"],
  ["{}.self_attn.o_proj", "{}.attn_output"],
  ["{}.self_attn.q_norm", "{}.attn_q_norm"],
  ["{}.self_attn.k_norm", "{}.attn_k_norm"],
  ["{}.post_attention_layernorm", "{}.ffn_norm"],
  ["{}.mlp.gate_proj", "{}.ffn_gate"],
  ["{}.mlp.up_proj", "{}.ffn_up"],
  ["{}.mlp.down_proj", "{}.ffn_down"],
];

/**
 * Writes the file unless it is there: matrices in f16, norms in f32, as the peer's converter does.
 * @returns its path
 */
export function randomQwen3Gguf(seed = 1): string {
  const folder = join(outputFolder, "checkpoints");
  const path = join(folder, `qwen3-0.6b-f16-${seed}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const shape = modelShapes["qwen3-0.6b"];
  const values = new RandomValues(seed);
  const tensors = tensorsOf(shape).map((tensor): GgufTensor => {
    const dtype = tensor.shape.length === 1 ? "f32" : "f16";
    return { ...tensor, name: ggufName(tensor.name), dtype, data: () => values.chunks(tensor, dtype) };
  });
  writeGguf(
    `${path}.unfinished`,
    { ...modelMetadata(shape), ...tokenizerMetadata(shape.vocabSize) },
    tensors,
  );
  renameSync(`${path}.unfinished`, path);
  return path;
}

function ggufName(name: string): string {
  const layer = /^model\.layers\.(\d+)/.exec(name);
  const stem = name.replace(/\.weight$/, "").replace(layer?.[0] ?? "{}", "{}");
  const found = names.find(([from]) => from === stem);
  if (!found) throw new Error(`${name}: no GGUF name is known`);
  return `${found[1].replace("{}", `blk.${layer?.[1]}`)}.weight`;
}

function modelMetadata(shape: ModelShape): Record<string, GgufValue> {
  const u32 = (value: number): GgufValue => ({ type: "u32", value });
  return {
    "general.architecture": { type: "string", value: "qwen3" },
    "general.name": { type: "string", value: "random Qwen3-0.6B shape" },
    "general.file_type": u32(1), // mostly f16
    "qwen3.vocab_size": u32(shape.vocabSize),
    "qwen3.block_count": u32(shape.numLayers),
    "qwen3.context_length": u32(shape.maxPositions),
    "qwen3.embedding_length": u32(shape.hiddenSize),
    "qwen3.feed_forward_length": u32(shape.mlpWidth),
    "qwen3.attention.head_count": u32(shape.numHeads),
    "qwen3.attention.head_count_kv": u32(shape.numKvHeads),
    "qwen3.attention.key_length": u32(shape.headDim),
    "qwen3.attention.value_length": u32(shape.headDim),
    "qwen3.attention.layer_norm_rms_epsilon": { type: "f32", value: qwen3NormEps },
    "qwen3.rope.freq_base": { type: "f32", value: qwen3RopeTheta },
  };
}

/** The peer does not load a model without a tokenizer: one that spells every byte, and has names for the other ids. */
function tokenizerMetadata(vocabSize: number): Record<string, GgufValue> {
  const end = vocabSize - 1;
  const bytes = byteTokens();
  const pair = bytes[0x61]! + bytes[0x62]!; // a merge rule must be there, and make a token that is
  const named = Array.from(
    { length: vocabSize - bytes.length - 1 },
    (_, i) => `<id ${bytes.length + 1 + i}>`,
  );
  const [normal, control] = [1, 3];
  return {
    "tokenizer.ggml.model": { type: "string", value: "gpt2" },
    "tokenizer.ggml.pre": { type: "string", value: "qwen2" },
    "tokenizer.ggml.tokens": { type: "strings", value: [...bytes, pair, ...named] },
    "tokenizer.ggml.token_type": {
      type: "i32s",
      value: Array.from({ length: vocabSize }, (_, id) => (id === end ? control : normal)),
    },
    "tokenizer.ggml.merges": { type: "strings", value: [`${bytes[0x61]} ${bytes[0x62]}`] },
    "tokenizer.ggml.bos_token_id": { type: "u32", value: end },
    "tokenizer.ggml.eos_token_id": { type: "u32", value: end },
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
  };
}

/** GPT-2's spelling of the 256 bytes: printable Latin-1 stands for itself, the rest for characters from U+0100 on. */
function byteTokens(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}
