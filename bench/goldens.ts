/**
 * How far every family lies from its trusted logits, on every path through the model.
 *
 *     npm run goldens
 *
 * Both sequences, all positions, teacher-forced, through the model and through the engine. Allowed: the bounds that
 * test/models/goldens.test.ts asserts. The last rows compare the engine with itself: log probabilities of a greedy
 * continuation with a prefix-cache hit and with replayed graphs, against none of both. Allowed: no difference at all.
 */
import { Device } from "../lib/device/device.js";
import { LLM, type LLMOptions } from "../lib/index.js";
import { loadModel } from "../lib/llm/loadModel.js";
import type { Model } from "../lib/models/model.js";
import type { Stream } from "../lib/device/stream.js";
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

/** Ways through the engine. Requests of one row run together. */
const enginePaths: readonly {
  readonly name: string;
  readonly options: LLMOptions;
  readonly neighbours: number;
}[] = [
  { name: "engine", options: {}, neighbours: 0 },
  { name: "engine, 32 a step", options: { maxStepTokens: 32 }, neighbours: 0 },
  { name: "engine, mixed batch", options: { maxStepTokens: 48 }, neighbours: 5 },
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
  const report = (name: string, logits: readonly Float32Array[]) => {
    const actual = concatenate(logits);
    const { max, mean, rms, relative, regret } = compareLogits(actual, expected, model.shape.vocabSize);
    const numbers = [max, mean, relative, allowed.max].map((value) => value.toExponential(1));
    const isWithin =
      max < allowed.max && rms < allowed.rms && relative < allowed.relative && regret < allowed.regret;
    isGood &&= isWithin;
    printRow([golden.family, dtype, name, ...numbers, isWithin ? "yes" : "NO"]);
  };
  for (const { name, run } of paths) report(name, await run(model, stream, tokens));
  model.dispose();
  for (const { name, options, neighbours } of enginePaths) {
    await using llm = await LLM.load(golden.folder, { ...options, dtype });
    const others = Array.from({ length: neighbours }, (_, i) => tokens[0]!.slice(0, 3 + 7 * i));
    for (const prompt of others) llm.generate(prompt, { maxTokens: 40, ignoreEos: true });
    report(name, await Promise.all(tokens.map((ids) => llm.logits(ids))));
  }
  return (await printContinuations(golden, dtype)) && isGood;
}

/** Rows of the engine compared with itself. */
async function printContinuations(golden: Golden, dtype: "f32" | "bf16"): Promise<boolean> {
  const prompt = golden.sequences[1]!.tokens;
  const continuation = async (options: LLMOptions, warm: boolean) => {
    await using llm = await LLM.load(golden.folder, { ...options, dtype });
    if (warm) await llm.generate(prompt, { maxTokens: 1 }).result();
    const result = await llm.generate(prompt, { maxTokens: 24, ignoreEos: true, logprobs: 20 }).result();
    const values = result.logprobs!.flatMap(({ logprob, top }) => [
      logprob,
      ...top.map((entry) => entry.logprob),
    ]);
    return { values, cached: result.usage.cachedTokens };
  };
  const plain = await continuation({ prefixCache: false, graphs: false }, false);
  const variants = [
    { name: "engine, prefix hit", ...(await continuation({ graphs: false }, true)) },
    { name: "engine, graphs", ...(await continuation({ prefixCache: false }, false)) },
  ];
  let isGood = variants[0]!.cached > 0; // otherwise the row would prove nothing
  for (const { name, values } of variants) {
    const differences = values.map((value, i) => Math.abs(value - plain.values[i]!));
    const [max, mean] = [
      Math.max(...differences),
      differences.reduce((sum, d) => sum + d, 0) / values.length,
    ];
    isGood &&= max === 0;
    const numbers = [max, mean, max, 0].map((value) => value.toExponential(1));
    printRow([golden.family, dtype, name, ...numbers, max === 0 ? "yes" : "NO"]);
  }
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
