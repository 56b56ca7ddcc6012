/**
 * The golden checkpoints of test/goldens: trusted logits of two sequences, at every position or, of a thin copy
 * (test/support/thinGolden.ts), at some of them, and how far a result lies from them. How they were made and what may be asked is in
 * the README of that folder's source.
 */
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { lengthFieldBytes, parseHeader, parseHeaderLength } from "../../lib/checkpoint/safetensorsHeader.js";
import { goldenFolder, storedFolder } from "./goldenFolder.js";

const folders = readdirSync(new URL("../goldens", import.meta.url), { withFileTypes: true });

/** Folders of test/goldens, but for those of formats (test/support/goldenFormats.ts). */
export const goldenFamilies: readonly string[] = folders
  .filter((entry) => entry.isDirectory() && entry.name !== "formats")
  .map(({ name }) => name)
  .sort();

export interface GoldenSequence {
  readonly tokens: readonly number[];
  /** The positions that have logits, ascending, the last one among them. */
  readonly rows: readonly number[];
  /** [rows, V]; the one of position t is the prediction after token t */
  readonly logits: Float32Array;
  /** Ids that greedy decoding adds. */
  readonly continuation: readonly number[] | undefined;
}

export interface Golden {
  readonly family: string;
  /** The checkpoint. */
  readonly folder: string;
  readonly sequences: readonly GoldenSequence[];
  /** Distance of a float64 pass whose activations are rounded to bf16. */
  readonly bf16: { readonly max: number; readonly rms: number };
  /** By what is wrongly implemented: mean change of the logits of the last sequence. */
  readonly mistakes: ReadonlyMap<string, number>;
}

/** What is read of a golden.json. */
export interface GoldenJson {
  readonly sequences: readonly {
    readonly tokens: readonly number[];
    readonly logits_tensor: string;
    /** Only in a thin copy: the positions of the tensor's rows. */
    readonly rows?: readonly number[];
    readonly greedy_continuation?: { readonly ids: readonly number[] };
  }[];
  readonly bf16_activation_yardstick: { readonly max_abs_diff: number; readonly rms_diff: number };
  readonly what_a_mistake_would_change: Readonly<Record<string, { readonly mean: number }>>;
}

/** @param list of longrope, where a golden has the logits of either (phi3): long, as a context beyond the trained length has it */
export async function readGolden(family: string, list: "short" | "long" = "long"): Promise<Golden> {
  const folder = storedFolder(family);
  const json = JSON.parse(await readFile(`${folder}/golden.json`, "utf8")) as GoldenJson;
  const tensors = await readTensors(`${folder}/golden.safetensors`);
  const yardstick = json.bf16_activation_yardstick;
  return {
    family,
    folder: goldenFolder(family),
    sequences: json.sequences.map((sequence) => {
      const ofList = tensors.get(`${sequence.logits_tensor}.${list}`);
      return {
        tokens: sequence.tokens,
        rows: sequence.rows ?? sequence.tokens.map((_, t) => t),
        logits: (ofList ?? tensors.get(sequence.logits_tensor)!).values,
        continuation: ofList ? undefined : sequence.greedy_continuation?.ids,
      };
    }),
    bf16: { max: yardstick.max_abs_diff, rms: yardstick.rms_diff },
    mistakes: new Map(
      Object.entries(json.what_a_mistake_would_change).map(([mistake, { mean }]) => [mistake, mean]),
    ),
  };
}

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** All tensors of an F32 safetensors file. */
export async function readTensors(file: string): Promise<Map<string, GoldenTensor>> {
  const bytes = new Uint8Array(await readFile(file));
  const headerLength = parseHeaderLength(bytes.subarray(0, lengthFieldBytes), bytes.length, file);
  const header = bytes.subarray(lengthFieldBytes, lengthFieldBytes + headerLength);
  const entries = parseHeader(header, bytes.length, file);
  return new Map(
    entries.map(({ name, shape, byteOffset, byteLength }) => {
      const values = new Float32Array(bytes.slice(byteOffset, byteOffset + byteLength).buffer);
      return [name, { shape, values }];
    }),
  );
}

/** The rows of [T, V] at some positions, one after another. */
export function rowsAt(logits: Float32Array, positions: readonly number[], vocabSize: number): Float32Array {
  const rows = new Float32Array(positions.length * vocabSize);
  positions.forEach((t, i) => rows.set(logits.subarray(t * vocabSize, (t + 1) * vocabSize), i * vocabSize));
  return rows;
}

/**
 * How far the logits of all positions of some sequences lie from those that are trusted, at the positions that have some.
 *
 * @param logits [T, V] of each of `sequences`
 */
export function compareGolden(
  sequences: readonly GoldenSequence[],
  logits: readonly Float32Array[],
): LogitsDifference {
  const vocabSize = sequences[0]!.logits.length / sequences[0]!.rows.length;
  const [actual, expected] = [[] as Float32Array[], [] as Float32Array[]];
  for (const [i, { tokens, rows, logits: trusted }] of sequences.entries()) {
    const length = logits[i]!.length;
    if (length !== tokens.length * vocabSize) throw new Error(`${length} logits of ${tokens.length} tokens`);
    actual.push(rowsAt(logits[i]!, rows, vocabSize));
    expected.push(trusted);
  }
  return compareLogits(concatenate(actual), concatenate(expected), vocabSize);
}

function concatenate(arrays: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    out.set(array, at);
    at += array.length;
  }
  return out;
}

/** Whether a difference is below each of the bounds. */
export function isWithin(
  { max, rms, relative, regret }: LogitsDifference,
  allowed: Omit<LogitsDifference, "mean">,
): boolean {
  return max < allowed.max && rms < allowed.rms && relative < allowed.relative && regret < allowed.regret;
}

/**
 * What may be asked of a result: the bounds of the goldens' README; those of bf16 are factors on the family's yardstick, those of activations
 * that become bytes three times as wide.
 */
export function allowedDifference(
  { bf16 }: Pick<Golden, "bf16">,
  dtype: "f32" | "bf16" | "int8",
): Omit<LogitsDifference, "mean"> {
  if (dtype === "f32") return { max: 1e-3, rms: Infinity, relative: 1e-4, regret: 1e-3 };
  const times = dtype === "int8" ? 3 : 1;
  return { max: times * 3 * bf16.max, rms: times * 2 * bf16.rms, relative: Infinity, regret: times * 0.1 };
}

export interface LogitsDifference {
  /** Largest absolute difference. */
  readonly max: number;
  /** Mean absolute difference. */
  readonly mean: number;
  readonly rms: number;
  /** Norm of the difference over norm of the expected logits. */
  readonly relative: number;
  /** Largest expected logit that a row loses if its actual argmax is taken. */
  readonly regret: number;
}

/** NaN anywhere makes every number NaN, which no bound accepts. */
export function compareLogits(
  actual: Float32Array,
  expected: Float32Array,
  vocabSize: number,
): LogitsDifference {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} logits instead of ${expected.length}`);
  let [max, sum, squares, norm, regret] = [0, 0, 0, 0, 0];
  for (let start = 0; start < expected.length; start += vocabSize) {
    let [best, actualBest] = [start, start];
    for (let i = start; i < start + vocabSize; i++) {
      const difference = Math.abs(actual[i]! - expected[i]!);
      max = Math.max(max, difference);
      sum += difference;
      squares += difference ** 2;
      norm += expected[i]! ** 2;
      if (expected[i]! > expected[best]!) best = i;
      if (actual[i]! > actual[actualBest]!) actualBest = i;
    }
    regret = Math.max(regret, expected[best]! - expected[actualBest]!);
  }
  const mean = sum / expected.length;
  return {
    max,
    mean,
    rms: Math.sqrt(squares / expected.length),
    relative: Math.sqrt(squares / norm),
    regret,
  };
}
