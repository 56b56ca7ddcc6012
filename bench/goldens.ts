/**
 * How far every family, and every format of quantised weights, lies from its trusted logits, on every path through the model.
 *
 *     npm run goldens
 *
 * Both sequences, all positions that have trusted logits, teacher-forced, through the model and through the engine. Allowed: the bounds that
 * test/models/goldens.test.ts asserts. The last rows compare the engine with itself: log probabilities of a greedy
 * continuation with a prefix-cache hit, preempted on the way, and with replayed graphs, against none of these (of families alone). Allowed: no difference at all.
 */
import { Device } from "../lib/device/device.js";
import { CapacityError } from "../lib/errors.js";
import { LLM, type LLMOptions } from "../lib/index.js";
import { loadModel } from "../lib/llm/loadModel.js";
import type { Model } from "../lib/models/model.js";
import type { Stream } from "../lib/device/stream.js";
import {
  allowedDifference,
  compareGolden,
  goldenFamilies,
  isWithin,
  readGolden,
  type Golden,
} from "../test/support/goldens.js";
import { goldenFormats, readFormat } from "../test/support/goldenFormats.js";
import { runModel } from "../test/support/runModel.js";
import { benchArgs } from "./support/benchArgs.js";

benchArgs(import.meta.url, {});

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

/** Of weights in codes activations become bytes in "int8", and stay what they are in the others. */
type Numbers = "f32" | "bf16" | "int8";

async function printFamily(stream: Stream, golden: Golden, numbers: Numbers): Promise<boolean> {
  const dtype = numbers === "f32" ? "f32" : "bf16";
  const activations = numbers === "int8" ? "auto" : "float";
  const model = await loadModel(golden.folder, { stream, dtype, activations });
  const tokens = golden.sequences.map((sequence) => sequence.tokens);
  const allowed = allowedDifference(golden, numbers);
  let isGood = true;
  const report = (name: string, logits: readonly Float32Array[]) => {
    const difference = compareGolden(golden.sequences, logits);
    const { max, mean, relative } = difference;
    const values = [max, mean, relative, allowed.max].map((value) => value.toExponential(1));
    const isClose = isWithin(difference, allowed);
    isGood &&= isClose;
    printRow([golden.family, numbers, name, ...values, isClose ? "yes" : "NO"]);
  };
  for (const { name, run } of paths) report(name, await run(model, stream, tokens));
  const canGrow = model.state.some(({ lifetime }) => lifetime !== "slot");
  model.dispose();
  for (const { name, options, neighbours } of enginePaths) {
    await using llm = await LLM.load(golden.folder, { ...options, dtype, activations });
    const others = Array.from({ length: neighbours }, (_, i) => tokens[0]!.slice(0, 3 + 7 * i));
    for (const prompt of others) llm.generate(prompt, { maxTokens: 40, ignoreEos: true });
    report(name, await Promise.all(tokens.map((ids) => llm.logits(ids))));
  }
  if (golden.sequences.length < 2) return isGood; // a format
  return (await printContinuations(golden, dtype, canGrow)) && isGood;
}

/** What a greedy continuation is told to be, and what had to happen on the way for it to prove something. */
interface Told {
  readonly values: readonly number[];
  readonly cachedTokens: number;
  readonly preemptions: number;
}

interface Continuation {
  readonly name: string;
  readonly told: Told;
  readonly happened: boolean;
}

async function continuation(
  golden: Golden,
  options: LLMOptions,
  { warm = false, neighbours = 0 } = {},
): Promise<Told> {
  const [short, long] = golden.sequences.map(({ tokens }) => tokens) as [
    readonly number[],
    readonly number[],
  ];
  await using llm = await LLM.load(golden.folder, options);
  if (warm) await llm.generate(long, { maxTokens: 1 }).result();
  // They were there first and grow: when pages run out, the last to come is preempted.
  const others = Array.from({ length: neighbours }, (_, i) =>
    llm.generate(short.slice(i, i + 10), { maxTokens: 60, ignoreEos: true }).result(),
  );
  const result = await llm.generate(long, { maxTokens: 24, ignoreEos: true, logprobs: 20 }).result();
  await Promise.all(others);
  const values = result.logprobs!.flatMap(({ logprob, top }) => [
    logprob,
    ...top.map((each) => each.logprob),
  ]);
  return { values, cachedTokens: result.usage.cachedTokens, preemptions: llm.stats().preemptions };
}

/** The least memory in which the long sequence runs, and little more: with others beside it pages run out. */
async function littleMemory({ folder, sequences }: Golden, options: LLMOptions): Promise<number> {
  const length = sequences[1]!.tokens.length + 24 + 1;
  for (let kvCacheBytes = 1 << 16; ; kvCacheBytes = Math.ceil(kvCacheBytes * 1.03))
    if (await holds(folder, { ...options, kvCacheBytes }, length)) return kvCacheBytes;
}

async function holds(folder: string, options: LLMOptions, length: number): Promise<boolean> {
  try {
    await using llm = await LLM.load(folder, options);
    return llm.stats().contextLength >= length;
  } catch (error) {
    if (error instanceof CapacityError) return false; // not even for two tokens
    throw error;
  }
}

async function preempted(golden: Golden, options: LLMOptions): Promise<Continuation> {
  const small = { ...options, pageSize: 16 }; // in pages of 64, as latents have them, sequences so short do not grow
  const kvCacheBytes = await littleMemory(golden, small);
  const told = await continuation(golden, { ...small, kvCacheBytes }, { neighbours: 10 });
  return { name: "engine, preempted", told, happened: told.preemptions > 0 };
}

/** Rows of the engine compared with itself. Sequences that keep slots alone never grow: nothing is preempted. */
async function printContinuations(golden: Golden, dtype: "f32" | "bf16", canGrow: boolean): Promise<boolean> {
  const none = { dtype, prefixCache: false, graphs: false } as const;
  const plain = await continuation(golden, none);
  const hit = await continuation(golden, { dtype, graphs: false }, { warm: true });
  const variants: readonly Continuation[] = [
    { name: "engine, prefix hit", told: hit, happened: hit.cachedTokens > 0 },
    ...(canGrow ? [await preempted(golden, none)] : []),
    {
      name: "engine, graphs",
      told: await continuation(golden, { dtype, prefixCache: false }),
      happened: true,
    },
  ];
  let isGood = true;
  for (const { name, told, happened } of variants) {
    const differences = told.values.map((value, i) => Math.abs(value - plain.values[i]!));
    const max = Math.max(...differences);
    const mean = differences.reduce((sum, d) => sum + d, 0) / differences.length;
    const isSame = happened && max === 0; // otherwise the row would prove nothing
    isGood &&= isSame;
    const numbers = [max, mean, max, 0].map((value) => value.toExponential(1));
    printRow([golden.family, dtype, name, ...numbers, isSame ? "yes" : "NO"]);
  }
  return isGood;
}

function printRow(cells: readonly string[]): void {
  const widths = [15, 5, 20, 9, 9, 9, 9, 6];
  console.log(
    cells.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" "),
  );
}

const device = Device.open("cpu");
const stream = device.createStream();
printRow(["family", "in", "path", "max", "mean", "relative", "allowed", "within"]);
const formats = goldenFormats.map((name): Golden => {
  const { sequence, ...format } = readFormat(name);
  return { ...format, family: name, sequences: [sequence], mistakes: new Map() };
});
for (const golden of [...(await Promise.all(goldenFamilies.map((name) => readGolden(name)))), ...formats]) {
  const all: readonly Numbers[] = golden.sequences.length > 1 ? ["f32", "bf16"] : ["f32", "bf16", "int8"];
  for (const numbers of all) if (!(await printFamily(stream, golden, numbers))) process.exitCode = 1;
}
await device.dispose();
