/**
 * Makes a thin copy of a golden checkpoint, the form in which a new family comes into test/goldens:
 *
 *     npx tsx test/support/thinGolden.ts <folder of the golden> [name of the copy]
 *
 * config.json is copied as it is, and the weights are packed (test/support/goldenFolder.ts). Of the logits there are every 8th row and the last four, with their
 * positions as `rows` in golden.json; what can be computed from the logits is left out of it.
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pack, packedName, storedFolder } from "./goldenFolder.js";
import { type GoldenJson, readTensors, rowsAt } from "./goldens.js";
import { encodeSafetensors } from "./safetensors.js";

/** 7, 15, ... : the last of each 8, which is the last of a page and of a chunk, too. */
const stride = 8;
/** Decoded one by one where the rest comes at once. */
const lastRows = 4;

function keptRows(length: number): number[] {
  const rows = Array.from({ length }, (_, t) => t);
  return rows.filter((t) => t % stride === stride - 1 || t >= length - lastRows);
}

async function thin(source: string, name: string): Promise<void> {
  const target = storedFolder(name);
  await mkdir(target, { recursive: true });
  await copyFile(path.join(source, "config.json"), path.join(target, "config.json"));
  const weights = await readFile(path.join(source, "model.safetensors"));
  await writeFile(path.join(target, packedName), pack(weights));
  const golden = JSON.parse(await readFile(path.join(source, "golden.json"), "utf8")) as GoldenJson;
  const sequences = golden.sequences.map(({ tokens, logits_tensor, greedy_continuation }) => {
    return { tokens, logits_tensor, rows: keptRows(tokens.length), greedy_continuation };
  });
  const json = JSON.stringify({ ...golden, sequences });
  await writeFile(path.join(target, "golden.json"), `${json}\n`);
  const tensors = await readTensors(path.join(source, "golden.safetensors"));
  const kept = [...tensors].map(([tensor, { shape, values }]) => {
    const [T, V] = shape as [number, number];
    const rows = keptRows(T);
    const { buffer } = rowsAt(values, rows, V);
    return [
      tensor,
      { dtype: "F32", shape: [rows.length, V], data: new Uint8Array(buffer as ArrayBuffer) },
    ] as const;
  });
  await writeFile(path.join(target, "golden.safetensors"), encodeSafetensors(Object.fromEntries(kept)));
}

const [source, name = path.basename(source ?? "")] = process.argv.slice(2);
if (source === undefined) throw new Error("thin.ts: expected the folder of a golden");
await thin(source, name);
