/**
 * What `kvDtype` costs and saves. Error: logits of the golden checkpoints (random weights) and of the trained models of models/ with pages of
 * each dtype, against pages of f32, activations f32 in both, teacher-forced over all positions; `greedy`: share of positions whose most likely
 * token is the same. Memory: bytes of a token in the pages of all layers, with what lies fallow between them. Speed: pagedAttention, and
 * mlaAttention with latents of DeepSeek's width, of bf16 queries over pages of codes against pages of bf16, in turns in one run.
 *
 *     npm run bench:kv-dtypes -- [--device cpu] [--only qwen3,models/tiny-moe]
 */
import { readFile } from "node:fs/promises";
import { Device, type DeviceName } from "../lib/device/device.js";
import type { Stream } from "../lib/device/stream.js";
import { loadModel } from "../lib/llm/loadModel.js";
import type { Model } from "../lib/models/model.js";
import { pageSizeOf, stateLayout } from "../lib/nn/state.js";
import { compareLogits, goldenFamilies, readGolden } from "../test/support/goldens.js";
import { runModel } from "../test/support/runModel.js";
import { benchArgs } from "./support/benchArgs.js";
import { latentCase } from "./support/latentCase.js";
import { type Codes, pagedCase } from "./support/pagedCase.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";
import { onStream, time } from "./support/timing.js";

const values = benchArgs(import.meta.url, {
  device: { type: "string", default: "cpu" },
  only: { type: "string" },
});
const kinds = ["bf16", "int8", "fp8"] as const;
const withoutPages = ["mamba2"]; // it refuses the option
const trained = ["models/tiny-draft", "models/tiny-moe"];

type Sequences = readonly (readonly number[])[];

async function sequencesOf(name: string): Promise<{ folder: string; sequences: Sequences }> {
  if (!trained.includes(name)) {
    const { folder, sequences } = await readGolden(name);
    return { folder, sequences: sequences.map(({ tokens }) => tokens) };
  }
  const json = await readFile(`${name}/golden.json`, "utf8");
  const texts = JSON.parse(json) as { prompt_ids: number[]; greedy_ids: number[] }[];
  return {
    folder: name,
    sequences: texts.map(({ prompt_ids, greedy_ids }) => [...prompt_ids, ...greedy_ids]),
  };
}

/** [V] of every position of every sequence, one after another. */
async function logitsOf(model: Model, stream: Stream, sequences: Sequences): Promise<Float32Array> {
  const all = await runModel(model, stream, sequences);
  return Float32Array.from(all.flatMap((logits) => Array.from(logits)));
}

/** Of a page of every cache group, divided by its tokens. */
function bytesPerToken({ state, shape }: Model): number {
  const pageSize = pageSizeOf(state);
  const { groups, blockBytes } = stateLayout(state, { pageSize, longest: shape.maxPositions });
  return groups.reduce((sum, { pagesPerBlock }) => sum + blockBytes / pagesPerBlock / pageSize, 0);
}

function greedyShare(a: Float32Array, b: Float32Array, vocabSize: number): number {
  const best = (row: Float32Array): number => row.indexOf(row.reduce((x, y) => Math.max(x, y)));
  let equal = 0;
  for (let at = 0; at < a.length; at += vocabSize) {
    if (best(a.subarray(at, at + vocabSize)) === best(b.subarray(at, at + vocabSize))) equal++;
  }
  return equal / (a.length / vocabSize);
}

async function errorRows(stream: Stream, name: string): Promise<string[][]> {
  const { folder, sequences } = await sequencesOf(name);
  const load = (kvDtype: "f32" | (typeof kinds)[number]) =>
    loadModel(folder, { stream, dtype: "f32", kvDtype });
  const exact = await load("f32");
  const expected = await logitsOf(exact, stream, sequences);
  const { vocabSize } = exact.shape;
  exact.dispose();
  const rows: string[][] = [];
  for (const kind of kinds) {
    const model = await load(kind);
    const logits = await logitsOf(model, stream, sequences);
    const { max, mean, relative } = compareLogits(logits, expected, vocabSize);
    const greedy = 100 * greedyShare(logits, expected, vocabSize);
    const numbers = [max, mean, relative].map((value) => value.toExponential(1));
    rows.push([name, kind, `${bytesPerToken(model)}`, ...numbers, `${greedy.toFixed(1)} %`]);
    model.dispose();
  }
  return rows;
}

const rounds = 5;

/** B sequences of L tokens, Lq queries each. */
type Shape = readonly [B: number, Lq: number, L: number, Hq: number];

async function speedRow(device: Device, caseOf: typeof pagedCase, shape: Shape): Promise<string[]> {
  const all: readonly (Codes | undefined)[] = [undefined, "i8", "fp8e4m3"];
  const cases = all.map((codes) => caseOf(...shape, "bf16", codes));
  const times = cases.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { setup }] of cases.entries()) {
      const { medianUs } = await onStream(device, (stream) => time(stream, setup(stream)));
      times[i]!.push(medianUs);
    }
  }
  const ratios = times.slice(1).map((of) => of.map((us, round) => us / times[0]![round]!));
  const text = (of: readonly number[]) =>
    `${median(of).toFixed(2)} (${Math.min(...of).toFixed(2)}-${Math.max(...of).toFixed(2)})`;
  return [cases[0]!.shape, `${median(times[0]!).toFixed(0)} us`, ...ratios.map(text)];
}

const device = Device.open(values.device as DeviceName);
const stream = device.createStream();
const names = values.only?.split(",") ?? [
  ...goldenFamilies.filter((family) => !withoutPages.includes(family)),
  ...trained,
];
const rows: string[][] = [];
for (const name of names) rows.push(...(await errorRows(stream, name)));
printTable(["model", "kvDtype", "bytes/token", "max", "mean", "relative", "greedy"], rows, 2);

const shapes: readonly (readonly [op: string, caseOf: typeof pagedCase, shapes: readonly Shape[]])[] = [
  [
    ...(["pagedAttention", pagedCase] as const),
    [
      [1, 1, 8192, 16],
      [4, 1, 8192, 16],
      [4, 1, 8192, 64],
      [1, 512, 4096, 16],
    ],
  ],
  [
    ...(["mlaAttention", latentCase] as const),
    [
      [1, 1, 8192, 16],
      [4, 1, 8192, 16],
      [1, 1, 8192, 128],
      [1, 64, 4096, 16],
    ],
  ],
];
for (const [op, caseOf, ofOp] of shapes) {
  console.log(`\n${op} on ${device.name}, time against bf16 pages: median of ${rounds} turns (range)\n`);
  const speeds: string[][] = [];
  for (const shape of ofOp) speeds.push(await speedRow(device, caseOf, shape));
  printTable(["shape", "bf16", "int8", "fp8"], speeds);
}
await device.dispose();
