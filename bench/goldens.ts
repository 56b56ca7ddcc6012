/**
 * How far every family lies from its trusted logits, on every path through the model.
 *
 *     npm run goldens
 *
 * Both sequences, all positions, teacher-forced. Allowed: the bounds that test/models/goldens.test.ts asserts.
 */
import { Device } from "../lib/device.js";
import { loadModel } from "../lib/models/load.js";
import type { Model } from "../lib/models/model.js";
import type { Stream } from "../lib/stream.js";
import {
  allowedDifference,
  compareLogits,
  goldenFamilies,
  readGolden,
  type Golden,
} from "../test/support/goldens.js";
import { runModel } from "../test/support/runModel.js";

type Sequences = readonly (readonly number[])[];

/** Every way to the logits of some sequences. */
const paths: readonly {
  readonly name: string;
  run(model: Model, stream: Stream, sequences: Sequences): Promise<Float32Array[]>;
}[] = [
  { name: "one prefill", run: (model, stream, sequences) => runAlone(model, stream, sequences, Infinity) },
  { name: "chunks of 7", run: (model, stream, sequences) => runAlone(model, stream, sequences, 7) },
  { name: "one by one", run: (model, stream, sequences) => runAlone(model, stream, sequences, 1) },
  { name: "batch, chunks of 33", run: (model, stream, all) => runModel(model, stream, all, { chunk: 33 }) },
];

async function runAlone(
  model: Model,
  stream: Stream,
  sequences: Sequences,
  chunk: number,
): Promise<Float32Array[]> {
  const results: Float32Array[] = [];
  for (const tokens of sequences) results.push(...(await runModel(model, stream, [tokens], { chunk })));
  return results;
}

async function printFamily(stream: Stream, golden: Golden, dtype: "f32" | "bf16"): Promise<boolean> {
  const model = await loadModel(golden.folder, { stream, dtype });
  const tokens = golden.sequences.map((sequence) => sequence.tokens);
  const expected = concatenate(golden.sequences.map(({ logits }) => logits));
  const allowed = allowedDifference(golden, dtype);
  let isGood = true;
  for (const { name, run } of paths) {
    const actual = concatenate(await run(model, stream, tokens));
    const { max, mean, rms, relative, regret } = compareLogits(actual, expected, model.shape.vocabSize);
    const numbers = [max, mean, relative, allowed.max].map((value) => value.toExponential(1));
    const isWithin =
      max < allowed.max && rms < allowed.rms && relative < allowed.relative && regret < allowed.regret;
    isGood &&= isWithin;
    printRow([golden.family, dtype, name, ...numbers, isWithin ? "yes" : "NO"]);
  }
  model.dispose();
  return isGood;
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

function printRow(cells: readonly string[]): void {
  const widths = [10, 5, 20, 9, 9, 9, 9, 6];
  console.log(
    cells.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" "),
  );
}

const device = Device.open("cpu");
const stream = device.createStream();
printRow(["family", "dtype", "path", "max", "mean", "relative", "allowed", "within"]);
for (const family of goldenFamilies) {
  const golden = await readGolden(family);
  for (const dtype of ["f32", "bf16"] as const) {
    if (!(await printFamily(stream, golden, dtype))) process.exitCode = 1;
  }
}
await device.dispose();
