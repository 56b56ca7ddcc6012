/**
 * Makes a thin copy of a golden checkpoint, the form in which a new family comes into test/goldens:
 *
 *     npx tsx test/support/thinGolden.ts <folder of the golden> [name of the copy] [every so many rows]
 *
 * config.json is copied as it is, and the weights are packed (test/support/goldenFolder.ts), without the embeddings of ids that no sequence has, unless a head is
 * tied to them. Of the logits there are every 16th row (of Gemma 3 every 8th: one more key of a window shows in few) and the last four, with their positions as `rows` in golden.json; what can be
 * computed from the logits is left out of it.
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pack, packedName, storedFolder } from "./goldenFolder.js";
import { type GoldenJson, readTensors, rowsAt } from "./goldens.js";
import { encodeSafetensors, withoutRows } from "./safetensors.js";

/** 15, 31, ... : the last of each 16, which is the last of a page and of a chunk, too. */
const defaultStride = 16;
/** Decoded one by one where the rest comes at once. */
const lastRows = 4;

function keptRows(length: number, stride: number): number[] {
  const rows = Array.from({ length }, (_, t) => t);
  return rows.filter((t) => t % stride === stride - 1 || t >= length - lastRows);
}

async function thin(source: string, name: string, stride: number): Promise<void> {
  const target = storedFolder(name);
  await mkdir(target, { recursive: true });
  await copyFile(path.join(source, "config.json"), path.join(target, "config.json"));
  const golden = JSON.parse(await readFile(path.join(source, "golden.json"), "utf8")) as GoldenJson;
  const all = await readFile(path.join(source, "model.safetensors"));
  const ids = new Set(
    golden.sequences.flatMap(({ tokens, greedy_continuation }) => [
      ...tokens,
      ...(greedy_continuation?.ids ?? []),
    ]),
  );
  const isUntied = all.includes('"lm_head.weight"');
  const weights = isUntied ? withoutRows(all, "model.embed_tokens.weight", (id) => ids.has(id)) : all;
  await writeFile(path.join(target, packedName), pack(weights));
  const sequences = golden.sequences.map(({ tokens, logits_tensor, greedy_continuation }) => {
    return { tokens, logits_tensor, rows: keptRows(tokens.length, stride), greedy_continuation };
  });
  const json = JSON.stringify({ ...golden, sequences });
  await writeFile(path.join(target, "golden.json"), `${json}\n`);
  const tensors = await readTensors(path.join(source, "golden.safetensors"));
  const kept = [...tensors].map(([tensor, { shape, values }]) => {
    const [T, V] = shape as [number, number];
    const rows = keptRows(T, stride);
    const { buffer } = rowsAt(values, rows, V);
    return [
      tensor,
      { dtype: "F32", shape: [rows.length, V], data: new Uint8Array(buffer as ArrayBuffer) },
    ] as const;
  });
  await writeFile(path.join(target, "golden.safetensors"), encodeSafetensors(Object.fromEntries(kept)));
}

const [source, name = path.basename(source ?? ""), stride = defaultStride] = process.argv.slice(2);
if (source === undefined) throw new Error("thin.ts: expected the folder of a golden");
await thin(source, name, Number(stride));
