/**
 * Golden checkpoints of quantised safetensors in test/goldens/formats: the float64 logits of some ids at some positions, and the hash of every
 * dequantised matrix. They are made from those with whole logits (whose README says how these came about):
 *
 *     npx tsx test/support/goldenFormats.ts <folder of the golden> ["matrices"]
 *
 * What no kept logit reads is zeros: the embeddings of ids that the sequence has not, and the rows of the head that are left out, so that their logits
 * are 0. With "matrices" only keys and values of attention are kept, and no logits: formats of which there is a near relative.
 */
import { readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { goldenFolder, pack, packedName, storedFolder } from "./goldenFolder.js";
import { type GoldenJson, type GoldenSequence, readTensors } from "./goldens.js";
import { onlyTensors, withoutRows } from "./safetensors.js";

/** Ids below it have logits. */
const keptIds = 24;

interface FormatJson {
  readonly tokens: readonly number[];
  readonly vocabSize: number;
  /** Positions with logits, and those of the kept ids at each. */
  readonly rows: readonly number[];
  readonly logits: readonly number[];
  readonly bf16_activation_yardstick: { readonly max_abs_diff: number; readonly rms_diff: number };
  /** By the name that the matrix has in floats: SHA-256 of its numbers as little-endian f32 in this shape. */
  readonly hashes: Readonly<Record<string, { readonly shape: readonly number[]; readonly sha256: string }>>;
}

export interface GoldenFormat {
  readonly name: string;
  /** The checkpoint. */
  readonly folder: string;
  readonly sequence: GoldenSequence;
  readonly bf16: { readonly max: number; readonly rms: number };
  readonly hashes: FormatJson["hashes"];
}

const formats = new URL("../goldens/formats/", import.meta.url);
/** All of them; and those that have logits. */
export const goldenMatrices: readonly string[] = readdirSync(formats).sort();
export const goldenFormats = goldenMatrices.filter((name) => readFormat(name).sequence.tokens.length > 0);

export function readFormat(name: string): GoldenFormat {
  const json = JSON.parse(readFileSync(new URL(`${name}/golden.json`, formats), "utf8")) as FormatJson;
  const { tokens, vocabSize, rows, bf16_activation_yardstick: yardstick, hashes } = json;
  const logits = new Float32Array(rows.length * vocabSize);
  rows.forEach((_, row) =>
    logits.set(json.logits.slice(row * keptIds, (row + 1) * keptIds), row * vocabSize),
  );
  return {
    ...{ name, hashes, folder: goldenFolder(`formats/${name}`) },
    sequence: { tokens, rows, logits, continuation: undefined },
    bf16: { max: yardstick.max_abs_diff, rms: yardstick.rms_diff },
  };
}

interface SourceJson extends GoldenJson {
  readonly quantised: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly sha256_f32: string }>
  >;
}

async function thin(source: string, onlyMatrices: boolean): Promise<void> {
  const target = storedFolder(`formats/${path.basename(source)}`);
  await mkdir(target, { recursive: true });
  await copyFile(path.join(source, "config.json"), path.join(target, "config.json"));
  const golden = JSON.parse(await readFile(path.join(source, "golden.json"), "utf8")) as SourceJson;
  const { tokens, logits_tensor } = golden.sequences[0]!;
  const file = await readFile(path.join(source, "model.safetensors"));
  const isKept = (name: string) => !onlyMatrices || /\.[kv]_proj\./.test(name);
  const weights = onlyMatrices
    ? onlyTensors(file, isKept)
    : withoutRows(
        withoutRows(file, "model.embed_tokens.weight", (id) => tokens.includes(id)),
        "lm_head.weight",
        (id) => id < keptIds,
      );
  await writeFile(path.join(target, packedName), pack(weights));
  const tensors = await readTensors(path.join(source, "golden.safetensors"));
  const { shape, values } = tensors.get(logits_tensor)!;
  const [T, V] = shape as [number, number];
  const rows = Array.from({ length: T }, (_, t) => t).filter((t) => t % 8 === 7 || t >= T - 4);
  const json: FormatJson = {
    ...(onlyMatrices ? { tokens: [], vocabSize: 0, rows: [] } : { tokens, vocabSize: V, rows }),
    logits: (onlyMatrices ? [] : rows).flatMap((t) =>
      [...values.subarray(t * V, t * V + keptIds)].map((value) => Number(value.toPrecision(7))),
    ),
    bf16_activation_yardstick: golden.bf16_activation_yardstick,
    hashes: Object.fromEntries(
      Object.entries(golden.quantised)
        .filter(([name]) => isKept(name))
        .map(([name, { shape: sizes, sha256_f32 }]) => [name, { shape: sizes, sha256: sha256_f32 }]),
    ),
  };
  await writeFile(path.join(target, "golden.json"), `${JSON.stringify(json)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await thin(process.argv[2]!, process.argv[3] === "matrices");
