/** Turns timings of a model in several formats into the lines of a table, and says which formats are slower than floats. */
import type { Phase } from "../support/generationTiming.js";
import { median } from "../support/statistics.js";
import { agreement, range, speed, type Timings } from "./report.js";
import type { WeightSize } from "./side.js";

/** A format that ran a workload. Repetitions of all formats took turns, so that those of one number belong together. */
export interface FormatRun {
  readonly format: string;
  /** Of ours in memory. */
  readonly weights: WeightSize;
  /** Of the file that we read. */
  readonly fileBytes: number;
  /** Both sides have the same weights, so that their first tokens say something. */
  readonly isSameFile: boolean;
  readonly timings: Timings;
  /** GB/s of a plain read of memory, after each repetition. */
  readonly readings: readonly number[];
}

const phases = ["prompt", "decode"] as const;
type PhaseName = (typeof phases)[number];
/** What a phase reached; more is better. */
type Rate = (phase: Phase) => number;

/** What remains comparable where other processes take the cores. */
const perCpuSecond: Rate = ({ tokens, cpuSeconds }) => tokens / cpuSeconds;

/** Our format in floats that the others are compared with: bf16, else f16. */
export function baseOf(formats: readonly string[]): string | undefined {
  return ["bf16", "f16"].find((name) => formats.includes(name));
}

/** Two lines above `formatRows`. @param base of `baseOf` */
export function formatHeading(base: string | undefined): [string[], string[]] {
  const [names, units] = rateHeading(base, "tokens/s");
  return [
    ["work", "format", "file", "memory", ...names, "first token", "memory"],
    ["", "", "B/weight", "B/weight", ...units, "same", "GB/s"],
  ];
}

/** A row for each format of a workload: sizes, tokens/s, and what memory gave meanwhile. */
export function formatRows(work: string, runs: readonly FormatRun[]): string[][] {
  return runs.map((run) => {
    const { format, weights, fileBytes, isSameFile, timings, readings } = run;
    const [same, all] = agreement(timings);
    return [
      ...[work, format],
      ...[fileBytes, weights.bytes].map((bytes) => (bytes / weights.parameters).toFixed(3)),
      ...rateCells(run, runs, speed),
      isSameFile ? `${same} of ${all}` : "",
      `${median(readings).toFixed(1)} (${range(readings, 1)})`,
    ];
  });
}

/** Two lines above `cpuRows`. */
export function cpuHeading(base: string | undefined): [string[], string[]] {
  const [names, units] = rateHeading(base, "tokens/CPU s");
  return [
    ["work", "format", ...names],
    ["", "", ...units],
  ];
}

/** The same by processor time of the whole process, all threads. */
export function cpuRows(work: string, runs: readonly FormatRun[]): string[][] {
  return runs.map((run) => [work, run.format, ...rateCells(run, runs, perCpuSecond)]);
}

/** "q4_0 prompt 0.93": what has fewer tokens/s than our own floats. Empty without floats. */
export function slowerThanBase(runs: readonly FormatRun[]): string[] {
  const base = baseRun(runs);
  if (!base) return [];
  return runs.flatMap((run) =>
    phases.flatMap((phase) => {
      const ratio = median(ratios(rates(run, 0, phase, speed), rates(base, 0, phase, speed)));
      return ratio < 1 ? [`${run.format} ${phase} ${ratio.toFixed(2)}`] : [];
    }),
  );
}

function rateHeading(base: string | undefined, unit: string): [string[], string[]] {
  const range = base ? "(range)" : "";
  return [
    phases.flatMap((phase) => [phase, "theirs", "ratio", base ? `of ${base}` : ""]),
    phases.flatMap(() => [unit, unit, "(range)", range]),
  ];
}

/** Ours and the peer's, and medians of their ratios in each repetition. */
function rateCells(run: FormatRun, runs: readonly FormatRun[], rate: Rate): string[] {
  const base = baseRun(runs);
  return phases.flatMap((phase) => {
    const [ours, theirs] = [rates(run, 0, phase, rate), rates(run, 1, phase, rate)];
    return [
      ...[ours, theirs].map((values) => median(values).toFixed(1)),
      withRange(ratios(ours, theirs)),
      base ? withRange(ratios(ours, rates(base, 0, phase, rate))) : "",
    ];
  });
}

function baseRun(runs: readonly FormatRun[]): FormatRun | undefined {
  const base = baseOf(runs.map(({ format }) => format));
  return runs.find(({ format }) => format === base);
}

const rates = ({ timings }: FormatRun, side: 0 | 1, phase: PhaseName, rate: Rate): number[] =>
  timings.map((pair) => rate(pair[side][phase]));

const ratios = (some: readonly number[], others: readonly number[]): number[] =>
  some.map((value, i) => value / others[i]!);

const withRange = (values: readonly number[]): string => `${median(values).toFixed(2)} (${range(values, 2)})`;
