/**
 * A checkpoint that writes what a test says, with any tokenizer: a Markov chain. Its embedding is one-hot, attention and
 * MLP are zero, and row t of the head is the sum of the one-hot vectors of those tokens that t follows. So greedy decoding of
 * token t gives exactly `next.get(t)`, or t again.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tinyConfig, tinyTensors, writeCheckpoint, type TinyTensor } from "./tinyCheckpoint.js";

export interface ChainSpec {
  readonly vocabSize: number;
  readonly next: ReadonlyMap<number, number>;
  /** Fields of config.json that are added or replaced. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Further files of the folder by name: JSON. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/** After `from` come these ids, one after another; an id may come only once. */
export function chain(from: number, ids: readonly number[]): Map<number, number> {
  return new Map(ids.map((id, i) => [i === 0 ? from : ids[i - 1]!, id]));
}

/** Writes the folder, which is removed when the test ends. */
export async function writeChainCheckpoint({ vocabSize, next, config, files }: ChainSpec): Promise<string> {
  const hiddenSize = Math.ceil(vocabSize / 16) * 16;
  const json = tinyConfig("LlamaForCausalLM", {
    vocab_size: vocabSize,
    hidden_size: hiddenSize,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    ...config,
  });
  const tensors = new Map(
    [...tinyTensors(json)].map(([name, tensor]): [string, TinyTensor] => {
      const values = new Float64Array(tensor.values.length).fill(name.includes("norm") ? 1 : 0);
      for (let t = 0; t < vocabSize; t++) {
        if (name === "model.embed_tokens.weight") values[t * hiddenSize + t] = 1;
        if (name === "lm_head.weight") values[(next.get(t) ?? t) * hiddenSize + t] = 4;
      }
      return [name, { ...tensor, values }];
    }),
  );
  const folder = await writeCheckpoint(json, tensors);
  for (const [name, content] of Object.entries(files ?? {})) {
    await writeFile(join(folder, name), JSON.stringify(content));
  }
  return folder;
}
