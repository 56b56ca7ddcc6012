/**
 * Makes a thin copy of a golden GGUF file (its README says how it came about):
 *
 *     npx tsx test/support/gguf/thinGolden.ts <folder of the golden>
 *
 * The file is packed as the goldens' weights are; of the logits there are the last rows of each sequence, of tensors in blocks the hashes of
 * their values. Of a golden of texts there are these and the hashes alone: quantize.ts makes the file.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { pack } from "../goldenFolder.js";
import { type GoldenJson, readTensors } from "../goldens.js";

export const goldensFolder = fileURLToPath(new URL("../../gguf/goldens", import.meta.url));

/** What is kept. */
export interface ThinGguf {
  readonly sequences: readonly {
    readonly tokens: readonly number[];
    /** Of the last positions, [rows, V] one after another. */
    readonly logits: readonly number[];
  }[];
  /** Of values as f32: SHA-256 by tensor. */
  readonly hashes: Readonly<Record<string, string>>;
}

/** Of texts. */
export interface ThinTexts {
  readonly tensors: Readonly<
    Record<string, { readonly type: "Q4_0" | "Q4_K" | "Q6_K"; readonly hash: string }>
  >;
  readonly entries: readonly {
    readonly prompt: string;
    readonly promptIds: readonly number[];
    readonly ids: readonly number[];
    readonly text: string;
  }[];
}

interface WithTensors {
  readonly gguf_tensors: Readonly<Record<string, { readonly type: string; readonly sha256_f32: string }>>;
}

const inBlocks = (tensors: WithTensors["gguf_tensors"]) =>
  Object.entries(tensors).filter(([, { type }]) => !/^B?F\d+$/.test(type));

const rows = 2;

async function thin(source: string): Promise<void> {
  const target = path.join(goldensFolder, path.basename(source));
  await mkdir(target, { recursive: true });
  await writeFile(
    path.join(target, "model.gguf.packed"),
    pack(await readFile(path.join(source, "model.gguf"))),
  );
  const golden = JSON.parse(await readFile(path.join(source, "golden.json"), "utf8")) as GoldenJson &
    WithTensors;
  const tensors = await readTensors(path.join(source, "golden.safetensors"));
  const sequences = golden.sequences.map(({ tokens, logits_tensor }) => {
    const { shape, values } = tensors.get(logits_tensor)!;
    return {
      tokens,
      logits: [...values.subarray(-rows * shape[1]!)].map((value) => Number(value.toPrecision(7))),
    };
  });
  const hashes = Object.fromEntries(
    inBlocks(golden.gguf_tensors).map(([name, { sha256_f32: hash }]) => [name, hash]),
  );
  await writeFile(path.join(target, "golden.json"), `${JSON.stringify({ sequences, hashes })}\n`);
}

interface TextsJson extends WithTensors {
  readonly entries: readonly {
    readonly prompt: string;
    readonly prompt_ids: readonly number[];
    readonly greedy_ids: readonly number[];
    readonly greedy_text: string;
  }[];
}

async function thinTexts(source: string): Promise<void> {
  const target = path.join(goldensFolder, path.basename(source));
  await mkdir(target, { recursive: true });
  const golden = JSON.parse(await readFile(path.join(source, "golden_text.json"), "utf8")) as TextsJson;
  const tensors = inBlocks(golden.gguf_tensors).map(([name, { type, sha256_f32: hash }]) => [
    name,
    { type, hash },
  ]);
  const entries = golden.entries.map(({ prompt, ...entry }) => ({
    ...{ prompt, promptIds: entry.prompt_ids, ids: entry.greedy_ids, text: entry.greedy_text },
  }));
  const kept = { tensors: Object.fromEntries(tensors) as object, entries };
  await writeFile(path.join(target, "golden.json"), `${JSON.stringify(kept)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const source = process.argv[2]!;
  await (existsSync(path.join(source, "golden_text.json")) ? thinTexts : thin)(source);
}
