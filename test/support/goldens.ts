/**
 * The golden checkpoints of test/goldens: trusted logits of every position of two sequences, and how far a result lies
 * from them. How they were made and what may be asked is in the README of that folder's source.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { lengthFieldBytes, parseHeader, parseHeaderLength } from "../../lib/checkpoint/safetensorsHeader.js";

/** Folders of test/goldens. */
export const goldenFamilies = ["gpt2", "llama", "mixtral", "qwen3", "qwen3_moe"] as const;

export interface GoldenSequence {
  readonly tokens: readonly number[];
  /** [T, V], row t is the prediction after token t */
  readonly logits: Float32Array;
}

export interface Golden {
  readonly family: string;
  readonly folder: string;
  readonly sequences: readonly GoldenSequence[];
  /** Distance of a float64 pass whose activations are rounded to bf16. */
  readonly bf16: { readonly max: number; readonly rms: number };
}

export async function readGolden(family: string): Promise<Golden> {
  const folder = fileURLToPath(new URL(`../goldens/${family}`, import.meta.url));
  const json = JSON.parse(await readFile(`${folder}/golden.json`, "utf8")) as {
    readonly sequences: readonly { readonly tokens: readonly number[]; readonly logits_tensor: string }[];
    readonly bf16_activation_yardstick: { readonly max_abs_diff: number; readonly rms_diff: number };
  };
  const logits = await readTensors(`${folder}/golden.safetensors`);
  const yardstick = json.bf16_activation_yardstick;
  return {
    family,
    folder,
    sequences: json.sequences.map(({ tokens, logits_tensor }) => ({
      tokens,
      logits: logits.get(logits_tensor)!,
    })),
    bf16: { max: yardstick.max_abs_diff, rms: yardstick.rms_diff },
  };
}

/** All tensors of an F32 safetensors file. */
async function readTensors(file: string): Promise<Map<string, Float32Array>> {
  const bytes = new Uint8Array(await readFile(file));
  const headerLength = parseHeaderLength(bytes.subarray(0, lengthFieldBytes), bytes.length, file);
  const header = bytes.subarray(lengthFieldBytes, lengthFieldBytes + headerLength);
  const entries = parseHeader(header, bytes.length, file);
  return new Map(
    entries.map(({ name, byteOffset, byteLength }) => [
      name,
      new Float32Array(bytes.slice(byteOffset, byteOffset + byteLength).buffer),
    ]),
  );
}

/** What may be asked of a result: the bounds of the goldens' README; those of bf16 are factors on the family's yardstick. */
export function allowedDifference({ bf16 }: Golden, dtype: "f32" | "bf16"): Omit<LogitsDifference, "mean"> {
  return dtype === "f32"
    ? { max: 1e-3, rms: Infinity, relative: 1e-4, regret: 1e-3 }
    : { max: 3 * bf16.max, rms: 2 * bf16.rms, relative: Infinity, regret: 0.1 };
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
