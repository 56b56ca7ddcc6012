/**
 * Where the time of a step goes: each kind of op call of the Qwen3-0.6B shape, as often as a step calls it, replayed from a
 * graph with weights of its own for every layer. Times are the least of several replays, because other processes only add;
 * processor time is the mean and counts all threads.
 *
 *     npm run bench:breakdown -- [--steps 1x512@512,1x1@576,4x1@160]     sequences x tokens @ context
 */
import { parseArgs } from "node:util";
import { Device } from "../lib/device/device.js";
import type { Stream } from "../lib/device/stream.js";
import { type StepOp, stepOps, type StepSize } from "./support/layerOps.js";
import { modelShapes } from "./support/modelShapes.js";
import { printTable } from "./support/table.js";
import { onStream } from "./support/timing.js";

const { values } = parseArgs({
  options: { steps: { type: "string", default: "1x512@512,1x1@576,4x1@160" } },
});
const budgetMs = 1500; // for the replays of one kind of op
const leastReplays = 5;

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const device = Device.open("cpu");
console.log(`qwen3-0.6b shape, bf16, ${device.name} (${device.isa}, ${device.threads} threads)`);
for (const text of values.steps.split(",")) {
  const size = parseStep(text);
  const costs = await onStream(device, (stream) =>
    measure(stream, stepOps(stream, modelShapes["qwen3-0.6b"], size)),
  );
  print(size, costs);
}
await device.dispose();

async function measure(stream: Stream, ops: readonly StepOp[]): Promise<(readonly [StepOp, Cost])[]> {
  const costs: (readonly [StepOp, Cost])[] = [];
  for (const op of ops) costs.push([op, await cost(stream, op)]);
  return costs;
}

/** All calls of one step. */
async function cost(stream: Stream, { calls, run }: StepOp): Promise<Cost> {
  const graph = stream.capture(() => {
    for (let i = 0; i < calls; i++) {
      const scope = stream.scope();
      run(i);
      scope.close();
    }
  });
  const walls: number[] = [];
  const replay = async (): Promise<void> => {
    graph.replay(stream);
    await stream.synchronize();
  };
  await replay();
  const [begin, cpu] = [performance.now(), process.cpuUsage()];
  while (walls.length < leastReplays || performance.now() - begin < budgetMs) {
    const start = performance.now();
    await replay();
    walls.push(performance.now() - start);
  }
  const { user, system } = process.cpuUsage(cpu);
  graph.dispose();
  return { wallMs: Math.min(...walls), cpuMs: (user + system) / 1000 / walls.length };
}

function print({ sequences, tokens, context }: StepSize, costs: readonly (readonly [StepOp, Cost])[]): void {
  const wall = costs.reduce((sum, [, { wallMs }]) => sum + wallMs, 0);
  const cpu = costs.reduce((sum, [, { cpuMs }]) => sum + cpuMs, 0);
  const rate = (total: number, ms: number): string => (total === 0 ? "" : (total / ms / 1e6).toFixed(1));
  const rows = [...costs]
    .sort(([, a], [, b]) => b.wallMs - a.wallMs)
    .map(([{ name, calls, flops, bytes }, { wallMs, cpuMs }]) => [
      name,
      String(calls),
      wallMs.toFixed(2),
      `${((100 * wallMs) / wall).toFixed(1)} %`,
      cpuMs.toFixed(2),
      rate(calls * flops, wallMs),
      rate(calls * bytes, wallMs),
    ]);
  console.log(`\n${sequences} x ${tokens} tokens, context ${context}`);
  printTable(
    ["op", "calls", "least ms", "share", "CPU ms", "GFLOP/s", "GB/s"],
    [...rows, ["all", "", wall.toFixed(2), "100 %", cpu.toFixed(2), "", ""]],
  );
  console.log(`= ${((1000 * sequences * tokens) / wall).toFixed(1)} tokens/s at the most`);
}

function parseStep(text: string): StepSize {
  const match = /^(\d+)x(\d+)@(\d+)$/.exec(text);
  const [sequences = 0, tokens = 0, context = 0] = match?.slice(1).map(Number) ?? [];
  if (sequences < 1 || tokens < 1 || context < tokens) {
    throw new Error(`--steps: expected a list of such as 4x1@160, got "${text}"`);
  }
  return { sequences, tokens, context };
}
