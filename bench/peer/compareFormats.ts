/** The same model in several formats, ours beside the peer's. */
import { statSync } from "node:fs";
import type { Device } from "../../lib/index.js";
import { measureReading } from "../support/ceilings.js";
import type { GenerationTiming, Workload } from "../support/generationTiming.js";
import { printTable } from "../support/table.js";
import { comparedFiles } from "./fileFormats.js";
import {
  baseOf,
  cpuHeading,
  cpuRows,
  formatHeading,
  formatRows,
  type FormatRun,
  slowerThanBase,
} from "./formatReport.js";
import { Pair, type PairOptions } from "./pair.js";
import { progress } from "./progress.js";
import { randomGguf } from "./randomGguf.js";
import { nameOf } from "./workloads.js";

interface LoadedFormat {
  readonly format: string;
  readonly isSameFile: boolean;
  readonly fileBytes: number;
  readonly pair: Pair;
}

/** Loads all formats, runs them in turns and prints what they reached. @param device on which memory is read meanwhile */
export async function compareFormats(
  formats: readonly string[],
  options: PairOptions & { readonly reps: number },
  device: Device,
): Promise<void> {
  const { shape, workloads } = options;
  const loaded: LoadedFormat[] = [];
  for (const format of formats) {
    progress(`${shape} ${format}: writing and loading the model`);
    const { ours, theirs, quantize } = comparedFiles.get(format)!;
    const models = { ours: randomGguf(shape, ours), theirs: randomGguf(shape, theirs) };
    const pair = await Pair.load(models, { ...options, ...(quantize && { quantize }) });
    loaded.push({ format, isSameFile: ours === theirs, fileBytes: statSync(models.ours).size, pair });
  }
  const runs = new Map<string, FormatRun[]>();
  for (const workload of workloads)
    runs.set(nameOf(workload), await runInTurns(loaded, workload, options.reps, device, shape));
  for (const { pair } of loaded) pair.stop();
  progress("");
  console.log(`\n${shape}\n`);
  print([...runs], baseOf(formats));
}

function print(all: readonly (readonly [work: string, runs: FormatRun[]])[], base: string | undefined): void {
  const [heading, units] = formatHeading(base);
  printTable(heading, [units, ...all.flatMap(([work, runs]) => formatRows(work, runs))], 2);
  console.log("\nBy processor time, which other processes change less:\n");
  const [cpu, cpuUnits] = cpuHeading(base);
  printTable(cpu, [cpuUnits, ...all.flatMap(([work, runs]) => cpuRows(work, runs))], 2);
  if (base === undefined) return;
  const slower = all.flatMap(([work, runs]) => slowerThanBase(runs).map((text) => `  ${work} ${text}`));
  const verdict = slower.length === 0 ? `No format is slower than our ${base}.` : `Slower than our ${base}:`;
  console.log(["", verdict, ...slower].join("\n"));
}

/** Each repetition runs every format, ours and the peer's, so that what the machine does meanwhile hits all alike. */
async function runInTurns(
  loaded: readonly LoadedFormat[],
  workload: Workload,
  reps: number,
  device: Device,
  shape: string,
): Promise<FormatRun[]> {
  const runs = loaded.map(({ format, isSameFile, fileBytes, pair }) => ({
    ...{ format, isSameFile, fileBytes, weights: pair.weights },
    timings: [] as [GenerationTiming, GenerationTiming][],
    readings: [] as number[],
  }));
  for (let rep = 1; rep <= reps; rep++) {
    for (const [i, { format, pair }] of loaded.entries()) {
      progress(`${shape} ${format}, ${nameOf(workload)}, repetition ${rep} of ${reps}`);
      runs[i]!.timings.push(await pair.run(workload, rep));
      runs[i]!.readings.push(await measureReading(device));
    }
  }
  return runs;
}
