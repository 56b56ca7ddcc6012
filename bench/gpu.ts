/**
 * Times the ops that matter most on a GPU and prints one table: time, rate, share of the ceiling, and the ratio to PyTorch
 * on the same work. Ceilings and baselines are measured in the same run, in turns with ours. Then decode steps of a real model.
 *
 *     npm run bench:gpu -- [--only linear] [--rounds 3] [--python python3 | --no-baseline] [--json FILE]
 *     WARPLOOP_BINARY=build-simt/Release/warploop.node npm run bench:gpu -- --small --device simt
 *                                                     every case shrunk, on the emulator: whether it runs, no figures
 *
 * Ends with status 1 if a case fails.
 */
import { writeFileSync } from "node:fs";
import { Device, type DeviceName } from "../lib/device/device.js";
import { copy } from "../lib/ops/copy.js";
import type { Stream } from "../lib/device/stream.js";
import { Baseline, type BaselineRequest } from "./gpu/baseline.js";
import { gpuCases } from "./gpu/cases.js";
import { decodeSteps } from "./gpu/decodeSteps.js";
import type { GpuCase } from "./gpu/gpuCase.js";
import { benchArgs } from "./support/benchArgs.js";
import { filled } from "./support/inputs.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";
import { onStream, time } from "./support/timing.js";

const values = benchArgs(import.meta.url, {
  device: { type: "string", default: "cuda" },
  only: { type: "string", default: "" },
  python: { type: "string", default: "python3" },
  "no-baseline": { type: "boolean", default: false }, // it costs more time than ours
  json: { type: "string" }, // the table as a list of objects, and what it was measured with
  rounds: { type: "string", default: "3" },
  small: { type: "boolean", default: false },
});
const rounds = Number(values.rounds);
if (!(Number.isInteger(rounds) && rounds >= 1))
  throw new Error(`--rounds: expected 1 or more, got ${values.rounds}`);

const decodeStep = "decode step";
const cases = gpuCases(values.small);
const names = new Set([...cases.map(({ op }) => op), decodeStep]);
if (![...names].some((name) => name.includes(values.only))) {
  console.error(
    `bench:gpu: --only ${values.only}: there are ${[...names].join(", ")}, or a part of these names`,
  );
  process.exit(1);
}

const batchMs = values.small ? 0 : 25;
let card = "";
try {
  await using device = Device.open(values.device as Parameters<typeof Device.open>[0]);
  card = device.model;
} catch (error) {
  console.error(`bench:gpu: ${messageOf(error)}`);
  process.exit(1);
}
const baseline = values.small || values["no-baseline"] ? null : await Baseline.start(values.python);
console.log(`${new Date().toISOString().slice(0, 10)}; ${baseline?.description ?? "no baseline"}`);

const [isH200, isH100] = [/H200/.test(card), /H100/.test(card)];
const ceilings = await measureCeilings();
if (!values.small) {
  console.log(
    `ceilings: ${ceilings.terabytes.toFixed(2)} TB/s (copy, read and written), ` +
      `${ceilings.teraflops?.toFixed(0) ?? "unknown"} TFLOP/s (torch.matmul 8192 x 8192 x 8192 bf16)\n`,
  );
}
const heading = [
  "op",
  "shape",
  "dtype",
  "us",
  "rate",
  "of ceiling",
  "asked",
  "predicted",
  "of it",
  "baseline",
  "baseline us",
  "ratio",
];
const rows: string[][] = [];
const failures: string[] = [];
for (const each of cases) {
  if (!each.op.includes(values.only)) continue;
  rows.push(await measure(each));
  console.error(rows.at(-1)!.join("  ").trimEnd()); // progress; the table comes at the end
}
if (rows.length > 0) printTable(heading, rows, 2);
const steps: string[][] = [];
const stepHeading = [
  decodeStep,
  "us",
  "tokens/s",
  "rate",
  "of ceiling",
  "asked",
  "predicted",
  "of it",
  "kernels us",
  "launches",
];
if (decodeStep.includes(values.only)) {
  try {
    for await (const step of decodeSteps(values.device as DeviceName, values.small)) {
      const { shape, batch, us, kernelUs, launches } = step;
      const seconds = values.small ? ["", ""] : [us.toFixed(0), ((1e6 * batch) / us).toFixed(0)];
      const kernels = values.small ? "" : kernelUs.toFixed(0);
      steps.push([shape, ...seconds, ...rated(step, us), kernels, String(launches)]);
      console.error(steps.at(-1)!.join("  ").trimEnd());
    }
  } catch (error) {
    failures.push(`${decodeStep}: ${messageOf(error)}`);
  }
  if (rows.length > 0) console.log();
  if (steps.length > 0) printTable(stepHeading, steps);
}
for (const failure of failures) console.log(failure);
if (failures.length > 0) process.exitCode = 1;
if (values.json !== undefined) {
  const objects = (names: readonly string[], table: readonly string[][]): object[] =>
    table.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? ""])));
  const results = { rows: objects(heading, rows), steps: objects(stepHeading, steps), failures };
  const text = JSON.stringify({ device: values.device, rounds, ceilings, ...results }, null, 2);
  writeFileSync(values.json, `${text}\n`);
}
baseline?.stop();

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs `body` on a device of its own: the memory of one case is free for the next. */
async function onDevice<Result>(body: (stream: Stream) => Promise<Result>): Promise<Result> {
  await using device = Device.open(values.device as Parameters<typeof Device.open>[0]);
  return await onStream(device, body);
}

interface Ceilings {
  readonly terabytes: number;
  readonly teraflops: number | null;
}

async function measureCeilings(): Promise<Ceilings> {
  const words = values.small ? 1 << 10 : 1 << 29;
  const { leastUs } = await onDevice((stream) => {
    const [a, b] = [filled(stream, "f32", [words / 64, 64]), stream.empty("f32", [words / 64, 64])];
    return time(stream, () => copy(stream, a, b), batchMs);
  });
  const bytes = 8 * words;
  const theirCopy = await askUs({ kind: "copy", bytes });
  const theirProduct = await askUs({
    ...{ kind: "matmul", dtype: "bf16", T: 8192, K: 8192, N: 8192, copies: 1 },
  });
  return {
    terabytes: Math.max(bytes / leastUs, theirCopy === null ? 0 : bytes / theirCopy) / 1e6,
    teraflops: theirProduct === null ? null : (2 * 8192 ** 3) / theirProduct / 1e6,
  };
}

async function askUs(request: BaselineRequest): Promise<number | null> {
  const answer = await baseline?.ask(request);
  return answer && "us" in answer ? answer.us : null;
}

/** One row: the medians of ours and theirs, measured in turns. */
async function measure(each: GpuCase): Promise<string[]> {
  const { op, shape, dtype, setup, without, baseline: request } = each;
  try {
    const [ours, theirs]: [number[], number[]] = [[], []];
    let note = "";
    await onDevice(async (stream) => {
      const call = setup(stream);
      const rest = without?.(stream);
      for (let round = 0; round < rounds; round++) {
        const us = (await time(stream, call, batchMs)).medianUs;
        ours.push(rest ? us - (await time(stream, rest, batchMs)).medianUs : us);
        if (!baseline || !request) continue;
        const answer = await baseline.ask(request);
        if ("us" in answer) theirs.push(answer.us);
        note = "us" in answer ? answer.name : answer.error;
      }
    });
    const us = median(ours);
    const ratio = theirs.length > 0 ? (median(theirs) / us).toFixed(2) : "";
    return [
      op,
      shape,
      dtype,
      values.small ? "" : us.toFixed(1),
      ...rated(each, us),
      note,
      theirs.length > 0 ? median(theirs).toFixed(1) : "",
      ratio,
    ];
  } catch (error) {
    failures.push(`${op} ${shape}: ${messageOf(error)}`);
    return [op, shape, dtype, values.small ? "" : "failed"];
  }
}

type Cost = Pick<GpuCase, "bytes" | "flops" | "marks">;

/** Rate, share of the ceiling, what was asked and what predicted, by the limit that the case is closer to. */
function rated({ bytes, flops, marks = {} }: Cost, us: number): [string, string, string, string, string] {
  if (values.small || bytes === 0) return ["", "", "", "", ""]; // the times of an emulator say nothing
  const [terabytes, teraflops] = [bytes / us / 1e6, flops / us / 1e6];
  const memoryShare = terabytes / ceilings.terabytes;
  const arithmeticShare = ceilings.teraflops === null ? 0 : teraflops / ceilings.teraflops;
  const byArithmetic = arithmeticShare > memoryShare || (ceilings.teraflops === null && flops > 300 * bytes);
  const rate = byArithmetic ? teraflops : terabytes;
  const share = byArithmetic ? arithmeticShare : memoryShare;
  const { asked: wanted } = marks;
  const asked = wanted ? `${wanted[0]} (${wanted[1]}) ${rate >= wanted[0] ? "met" : "missed"}` : "";
  const predicted = isH200 ? marks.h200 : isH100 ? marks.h100 : undefined;
  return [
    byArithmetic ? `${rate.toFixed(0)} TFLOP/s` : `${rate.toFixed(2)} TB/s`,
    `${(100 * share).toFixed(0)} %`,
    asked,
    predicted ? `${predicted[0]} to ${predicted[1]}` : "",
    predicted ? (rate / ((predicted[0] + predicted[1]) / 2)).toFixed(2) : "",
  ];
}
