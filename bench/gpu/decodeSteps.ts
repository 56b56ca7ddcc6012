/**
 * Decode steps of the real model with random weights: what a token costs, kernels, uploads and the host's part together. Its
 * floor is reading the weights and the keys and values once.
 */
import type { DeviceName } from "../../lib/device/device.js";
import type { TransformerShape } from "../support/families/tensors.js";
import { modelShapes } from "../support/modelShapes.js";
import { ModelSteps } from "../support/modelSteps.js";
import { randomCheckpoint } from "../support/randomCheckpoint.js";
import { median } from "../support/statistics.js";
import type { Marks } from "./gpuCase.js";

export interface DecodeStep {
  readonly shape: string;
  /** B */
  readonly batch: number;
  /** Of the step as the engine runs it: a graph that is replayed, and the host around it. */
  readonly us: number;
  readonly bytes: number;
  readonly flops: number;
  /** Of all kernels of a step whose commands run one by one. */
  readonly kernelUs: number;
  readonly launches: number;
  readonly marks: Marks;
}

interface Size {
  readonly B: number;
  /** Tokens of a sequence, in the middle of the measurement. */
  readonly L: number;
  readonly marks?: Marks;
}

const name = "qwen3-8b";
const tiny = { numLayers: 2, hiddenSize: 128, mlpWidth: 128, vocabSize: 512, numHeads: 4, numKvHeads: 2 };
const predicted: Marks = { h100: [2.28, 2.48], h200: [2.88, 3.17] };
const sizes: readonly Size[] = [
  { B: 1, L: 1024, marks: predicted },
  { B: 32, L: 1024 },
  { B: 128, L: 1024 },
];
const warmUp = 4; // prompts end, the graph is captured, and replayed for the first time

/** @param small a tiny model instead, to see that it runs */
export async function* decodeSteps(device: DeviceName, small: boolean): AsyncGenerator<DecodeStep> {
  const changes = small ? tiny : {};
  const shape = { ...modelShapes[name], ...changes };
  const folder = randomCheckpoint(name, changes);
  const wanted: readonly Size[] = small ? [1, 2, 4].map((B) => ({ B, L: 32 })) : sizes;
  const sequences = Math.max(...wanted.map(({ B }) => B));
  await using steps = await ModelSteps.open(folder, { device, sequences });
  for (const size of wanted) {
    const title = `${small ? "a tiny model" : "Qwen3-8B"} B=${size.B} L=${size.L}`;
    yield { shape: title, ...costOf(shape, size), ...(await measure(steps, size, small ? 4 : 32)) };
  }
}

function costOf(shape: TransformerShape, { B, L, marks = {} }: Size) {
  const { hiddenSize: D, numHeads, numKvHeads, headDim, mlpWidth: F, vocabSize: V, numLayers } = shape;
  const weights = numLayers * (2 * D * (numHeads + numKvHeads) * headDim + 3 * D * F) + V * D;
  const context = 2 * numLayers * B * L * numKvHeads * headDim;
  return { marks, batch: B, bytes: 2 * (weights + context), flops: 2 * B * weights };
}

/** Steps in which all B sequences decode; those before them, with prompts, are not looked at. */
async function measure(steps: ModelSteps, { B, L }: Size, count: number) {
  const before = Math.floor(L / 4); // while some are decoding, the prompts of others still run
  for (let i = 0; i < B; i++) steps.add(L - Math.floor(count / 2), before + count);
  const isWhole = (step: Awaited<ReturnType<ModelSteps["step"]>>): boolean =>
    step?.kind === "decode" && step.sequences.length === B;
  const next = async (): Promise<void> => {
    for (;;) {
      const step = await steps.step();
      if (!step) throw new Error(`decode step: not all ${B} sequences have run together`);
      if (isWhole(step)) return;
    }
  };
  for (let i = 0; i < warmUp; i++) await next();
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const step = await steps.step();
    if (isWhole(step)) times.push((performance.now() - start) * 1000);
  }
  if (times.length === 0) throw new Error(`decode step: none of ${count} steps had all ${B} sequences`);
  const trace = steps.stream.trace();
  await next();
  const ops = (await trace.end()).filter(({ bytes }) => bytes === 0);
  while (await steps.step()); // to the end of the requests
  const sum = (of: (row: (typeof ops)[number]) => number): number =>
    ops.reduce((total, row) => total + of(row), 0);
  return {
    us: median(times),
    kernelUs: sum(({ duration }) => duration),
    launches: sum(({ launches }) => launches),
  };
}
