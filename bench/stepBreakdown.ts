/**
 * Where the time of a step goes: the real model of the Qwen3-0.6B shape or of another, its steps traced, each op with its sizes apart. Times
 * are the least of several steps, because other processes only add.
 *
 *     npm run bench:breakdown -- [--device cpu] [--steps 1x512,1x1@576,4x1@160] [--times 5] [--trace step.json]
 *
 * --steps   sequences x prompt tokens: a whole prompt in one step; sequences x 1 @ context: a decode
 * --shape   of random weights, by its name in support/modelShapes.ts
 * --model   folder of a checkpoint instead
 * --trace   writes the last step of all for chrome://tracing or ui.perfetto.dev
 */
import { writeFileSync } from "node:fs";
import type { DeviceName } from "../lib/device/device.js";
import type { TraceRow } from "../lib/device/trace.js";
import { benchArgs } from "./support/benchArgs.js";
import { type DotPeak, measureDotPeak } from "./support/dotPeak.js";
import { ModelSteps } from "./support/modelSteps.js";
import type { ModelShapeName } from "./support/modelShapes.js";
import { randomCheckpoint } from "./support/randomCheckpoint.js";
import { printTable } from "./support/table.js";

const values = benchArgs(import.meta.url, {
  device: { type: "string", default: "cpu" },
  steps: { type: "string", default: "1x512,1x1@576,4x1@160" },
  times: { type: "string", default: "5" },
  shape: { type: "string", default: "qwen3-0.6b" },
  model: { type: "string" },
  trace: { type: "string" },
});
const folder = values.model ?? randomCheckpoint(values.shape as ModelShapeName);
const times = Number(values.times);

/** A step to look at; `context` is left out for a prompt. */
interface StepSize {
  readonly sequences: number;
  readonly tokens: number;
  readonly context: number;
}

/** A kind of op call in a step. */
interface Cost {
  readonly row: TraceRow;
  calls: number;
  /** Of all calls in each of the steps. */
  readonly us: number[];
}

for (const text of values.steps.split(",")) {
  const size = parseStep(text);
  const { steps, name, peak, timeline } = await traced(size, text);
  print(size, steps, name, peak);
  if (values.trace !== undefined) writeFileSync(values.trace, timeline);
}

async function traced({ sequences, tokens, context }: StepSize, title: string) {
  const isPrompt = tokens > 1;
  const maxStepTokens = Math.max(512, sequences * context);
  await using steps = await ModelSteps.open(folder, {
    ...{ device: values.device as DeviceName, sequences, maxStepTokens },
  });
  const { device, stream } = steps;
  const add = (promptTokens: number, maxTokens: number): void => {
    for (let i = 0; i < sequences; i++) steps.add(promptTokens, maxTokens);
  };
  // A prompt's request ends with its step. Decodes: the prompt, two steps until the graph is there, and those that count.
  if (!isPrompt) add(context, times + 3);
  for (let i = 0; i < 3; i++) {
    if (isPrompt) add(context, 1);
    await steps.step();
  }
  const recorded: TraceRow[][] = [];
  let timeline = "";
  for (let i = 0; i < times; i++) {
    if (isPrompt) add(context, 1);
    const trace = stream.trace();
    await steps.step();
    recorded.push([...(await trace.end())]);
    timeline = await trace.chromeJson({ name: title });
  }
  const { isa, threads = 1 } = device;
  const name = `${device.name}${isa === undefined ? "" : ` (${isa}, ${threads} threads)`}`;
  return {
    steps: recorded,
    name,
    timeline,
    peak: isa === undefined ? "no CPU" : measureDotPeak(threads, isa),
  };
}

function print(
  { sequences, tokens, context }: StepSize,
  steps: readonly (readonly TraceRow[])[],
  name: string,
  peak: DotPeak | string,
): void {
  const costs = costsOf(steps);
  const least = (cost: Cost): number => Math.min(...cost.us);
  const wall = Math.min(...steps.map((rows) => rows.at(-1)!.start + rows.at(-1)!.duration - rows[0]!.start));
  const sum = costs.reduce((total, cost) => total + least(cost), 0);
  const flops = costs.reduce((total, { row, calls }) => total + calls * flopsOf(row), 0);
  const bytes = costs.reduce((total, { row, calls }) => total + calls * bytesOf(row), 0);
  const rate = (total: number, us: number): string => (total === 0 ? "" : (total / us / 1000).toFixed(1));
  const rows = costs
    .sort((a, b) => least(b) - least(a))
    .map((cost) => [
      nameOf(cost.row),
      String(cost.calls),
      (least(cost) / 1000).toFixed(2),
      `${((100 * least(cost)) / wall).toFixed(1)} %`,
      rate(tokens === 1 ? 0 : cost.calls * flopsOf(cost.row), least(cost)),
      rate(cost.calls * bytesOf(cost.row), least(cost)),
    ]);
  const what = values.model === undefined ? "random weights, " : "";
  console.log(
    `\n${folder.split("/").at(-1)}, ${what}${name}: ${sequences} x ${tokens} tokens, context ${context}; of all calls, least of ${steps.length} steps`,
  );
  printTable(
    ["op", "calls", "least ms", "share", "GFLOP/s", "GB/s"],
    [
      ...rows,
      [
        "rest: between ops, and noise",
        "",
        ((wall - sum) / 1000).toFixed(2),
        `${((100 * (wall - sum)) / wall).toFixed(1)} %`,
        "",
      ],
      [
        "step",
        "",
        (wall / 1000).toFixed(2),
        "100 %",
        rate(tokens === 1 ? 0 : flops, wall),
        rate(bytes, wall),
      ],
    ],
  );
  console.log(`= ${((1e6 * sequences * tokens) / wall).toFixed(1)} tokens/s`);
  if (tokens === 1) return;
  if (typeof peak === "string") return console.log(`peak: ${peak}`);
  const most = 2 * peak.floats; // a multiply-add counts two
  const share = ((100 * flops) / wall / 1000 / most).toFixed(1);
  console.log(`= ${share} % of the peak of float dot products, ${most.toFixed(0)} GFLOP/s`);
}

/** By op and sizes, in the order in which they come. */
function costsOf(steps: readonly (readonly TraceRow[])[]): Cost[] {
  const costs = new Map<string, Cost>();
  for (const [step, rows] of steps.entries()) {
    for (const row of rows) {
      const cost = costs.get(nameOf(row)) ?? { row, calls: 0, us: steps.map(() => 0) };
      costs.set(nameOf(row), cost);
      cost.us[step]! += row.duration;
      if (step === 0) cost.calls++;
    }
  }
  return [...costs.values()];
}

function nameOf({ op, tensors }: TraceRow): string {
  const { x, q, weight } = sizesOf(tensors);
  const sizes = weight?.length! >= 2 ? `${weight!.at(-1)} -> ${weight!.at(-2)}` : (x ?? q ?? []).join(" x ");
  return sizes === "" ? op : `${op} ${sizes}`;
}

/** Of products, and of attention in a prompt; else 0. */
function flopsOf({ op, tensors }: TraceRow): number {
  const { x, weight, q } = sizesOf(tensors);
  // By the weight's rows: of gate and up together out has half as many columns.
  if (op === "linear" && x && weight) return 2 * x[0]! * x[1]! * weight.at(-2)!;
  // Half of the pairs of tokens. Of a decode it is nothing beside reading the cache.
  if (op === "pagedAttention" && q) return 2 * q[0]! * q[0]! * q[1]! * q[2]!;
  return 0;
}

/** Of weights; else 0. */
function bytesOf({ op, tensors }: TraceRow): number {
  const { weight } = sizesOf(tensors);
  return op === "linear" && weight ? 2 * weight.reduce((product, size) => product * size, 1) : 0;
}

/** "x [512, 1024] bf16, weight [4096, 1024] bf16" */
function sizesOf(tensors: string): Partial<Record<string, readonly number[]>> {
  const found = [...tensors.matchAll(/(\w+) \[([\d, ]+)\]/g)];
  return Object.fromEntries(found.map(([, name, sizes]) => [name!, sizes!.split(", ").map(Number)]));
}

function parseStep(text: string): StepSize {
  const match = /^(\d+)x(\d+)(?:@(\d+))?$/.exec(text);
  const [sequences = 0, tokens = 0, context = tokens] = (match?.slice(1) ?? [])
    .filter((each) => each !== undefined)
    .map(Number);
  const isDecode = tokens === 1 && context > 1;
  if (sequences < 1 || (!isDecode && (tokens < 2 || context !== tokens)))
    throw new Error(`--steps: expected a list of such as 1x512 or 4x1@160, got "${text}"`);
  return { sequences, tokens, context };
}
