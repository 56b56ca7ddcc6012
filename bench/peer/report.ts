/** Turns timings into the lines of the comparison. */
import type { GenerationTiming, Phase, Workload } from "../support/generationTiming.js";
import { median } from "../support/statistics.js";
import { printTable } from "../support/table.js";

/** Of ours and of the peer, by repetition. */
export type Timings = readonly (readonly [GenerationTiming, GenerationTiming])[];

/** Ratios to reach: at least, and the goal. */
const targets = { prompt: [3, 5], decode: [1.3, 1.8], severalSequences: [1.5, 1.8] } as const;

const heading = ["", "ours", "theirs", "ratio", "target", "ours", "theirs", "ratio", "ours", "theirs"];
const units = ["", "tokens/s", "tokens/s", "", "", "CPU ms/tok", "CPU ms/tok", "", "range", "range"];

/**
 * One table per workload: tokens/s, processor time per token, and the range of the repetitions.
 *
 * @param readings GB/s that the machine's memory had between the repetitions
 */
export function printComparison(
  name: string,
  workload: Workload,
  timings: Timings,
  readings: readonly number[],
): void {
  const decodeTarget = workload.sequences > 1 ? targets.severalSequences : targets.decode;
  printTable(heading, [
    units,
    row(`${name} prompt`, timings, (timing) => timing.prompt, targets.prompt),
    row(`${name} decode`, timings, (timing) => timing.decode, decodeTarget),
  ]);
  const block = (side: 0 | 1): string =>
    `${Math.max(...timings.map((pair) => pair[side].loopBlockMs)).toFixed(1)} ms`;
  const [same, all] = agreement(timings);
  console.log(
    `longest event-loop block: ours ${block(0)}, theirs ${block(1)}; same first token: ${same} of ${all}\n` +
      `memory meanwhile: ${median(readings).toFixed(1)} GB/s read (${range(readings, 1)})\n`,
  );
}

/** One line for a model that only one side runs. */
export function printSpeed(name: string, timings: readonly GenerationTiming[]): void {
  const speeds = timings.map(({ decode }) => decode.tokens / decode.seconds);
  const perToken = median(timings.map(({ decode }) => (1000 * decode.cpuSeconds) / decode.tokens));
  const block = Math.max(...timings.map(({ loopBlockMs }) => loopBlockMs)).toFixed(1);
  console.log(
    `${name}: ${median(speeds).toFixed(0)} tokens/s (${range(speeds, 0)}; target 1000), ` +
      `${perToken.toFixed(2)} CPU ms/token, longest event-loop block ${block} ms`,
  );
}

function row(
  name: string,
  timings: Timings,
  phaseOf: (timing: GenerationTiming) => Phase,
  [least, goal]: readonly [number, number],
): string[] {
  const speeds = ([0, 1] as const).map((side) => timings.map((pair) => speed(phaseOf(pair[side]))));
  const costs = ([0, 1] as const).map((side) => median(timings.map((pair) => cpuMs(phaseOf(pair[side])))));
  const [ours, theirs] = [median(speeds[0]!), median(speeds[1]!)];
  const ratio = ours / theirs;
  const verdict = ratio >= goal ? "goal met" : ratio >= least ? "met" : "missed";
  return [
    name,
    ours.toFixed(1),
    theirs.toFixed(1),
    ratio.toFixed(2),
    `${least} (${goal}): ${verdict}`,
    costs[0]!.toFixed(2),
    costs[1]!.toFixed(2),
    (costs[1]! / costs[0]!).toFixed(2),
    range(speeds[0]!, 1),
    range(speeds[1]!, 1),
  ];
}

/** Tokens a second. */
export const speed = ({ tokens, seconds }: Phase): number => tokens / seconds;
const cpuMs = ({ tokens, cpuSeconds }: Phase): number => (1000 * cpuSeconds) / tokens;

/** "3.1-3.4" */
export function range(values: readonly number[], digits: number): string {
  return `${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)}`;
}

/** How many sequences began with the same token on both sides, and how many there were. */
export function agreement(timings: Timings): [number, number] {
  const pairs = timings.flatMap(([ours, theirs]) =>
    ours.firstTokens.map((token, sequence) => token === theirs.firstTokens[sequence]),
  );
  return [pairs.filter(Boolean).length, pairs.length];
}
