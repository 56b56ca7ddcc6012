// Contract: a step may sample behind several tokens of a sequence, as a draft's need: each id is drawn as if the tokens before it had
// been run one step at a time, also where minTokens ends or a penalty grows between them. The scheduler makes no such steps yet.
import { expect, it, test } from "vitest";
import { type DeviceStep, type PositionLogprobs, type StepResult } from "../../lib/engine/deviceStep.js";
import { packStep, promptPositions } from "../../lib/engine/packStep.js";
import { makeRequest, greedySpec, type RequestSpec } from "../../lib/engine/requestSpec.js";
import { ModelRunner } from "../../lib/engine/runner.js";
import { greedySampling, type Sampling } from "../../lib/engine/sampling.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Model } from "../../lib/models/model.js";
import { stateLayout } from "../../lib/nn/state.js";
import type { Request } from "../../lib/schedule/request.js";
import { sampledRows, type ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import { chooseLayout } from "../../lib/schedule/stepPlan.js";
import { openTestDevice } from "../support/devices.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const sizes = { maxSequences: 4, maxModelLen: 64, pageSize: 4, numBlocks: 60 } as const;

interface Ask {
  readonly prompt: readonly number[];
  readonly sampling?: Partial<Sampling>;
  /** Samples of the one step. */
  readonly numSamples: number;
}

/** A prompt that ends with the step, with a page border among its samples; one drawn; one with all that changes on the way. */
const asks: readonly Ask[] = [
  { prompt: [5, 6, 7], numSamples: 3 },
  { prompt: [9, 3, 1, 4, 1], sampling: { temperature: 1.5, seed: 77, topK: 30 }, numSamples: 2 },
  { prompt: [2, 2], numSamples: 1 },
  {
    prompt: [8, 1, 30, 2, 11, 6],
    sampling: {
      ...{ temperature: 0, presencePenalty: 4, frequencyPenalty: 1, minTokens: 1 },
      suppressed: Array.from({ length: 18 }, (_, i) => i),
    },
    numSamples: 3,
  },
];

const newScheduler = () =>
  new Scheduler({ ...sizes, maxStepTokens: 64, admission: "optimistic", prefixCache: false });

/** The first step of requests that know `drafts` beside their prompts, which samples as often as they ask for. */
function draftStep(scheduler: Scheduler, drafts: readonly (readonly number[])[], maxTokens = 9) {
  const specs = new Map<Request, RequestSpec>();
  for (const [i, { prompt, sampling }] of asks.entries()) {
    const plain = greedySpec(maxTokens, { logprobs: 2 });
    const spec = { ...plain, sampling: { ...greedySampling, ...sampling } };
    const request = makeRequest(`${i}`, prompt, spec);
    for (const id of drafts[i] ?? []) request.tokens.push(id);
    specs.set(request, spec);
    scheduler.add(request);
  }
  const step = scheduler.schedule()!;
  const sequences = step.sequences.map((sequence, i) => ({
    ...sequence,
    numSamples: drafts.length > 0 ? asks[i]!.numSamples : sequence.numSamples,
  }));
  return { specs, step: { ...step, sequences, samples: sampledRows(sequences) } satisfies ScheduledStep };
}

/** Ids and log probabilities of each request, one step for each id. */
async function oneByOne(submit: (step: DeviceStep) => Promise<StepResult>) {
  const scheduler = newScheduler();
  const first = draftStep(scheduler, [], 3);
  const results = asks.map((): { ids: number[]; logprobs: PositionLogprobs[] } => ({
    ids: [],
    logprobs: [],
  }));
  for (let step: ScheduledStep | null = first.step; step; step = scheduler.schedule()) {
    const { ids, sampled } = await submit(packStep(step, [], first.specs));
    for (const { request, tokenId, sampleIndex } of scheduler.commit(step, ids)) {
      results[Number(request.id)]!.ids.push(tokenId);
      results[Number(request.id)]!.logprobs.push(sampled[sampleIndex]!);
    }
  }
  return results;
}

function withRunner<T>(
  model: Model,
  stream: Parameters<Model["forward"]>[0],
  body: (runner: ModelRunner) => T,
) {
  const layout = stateLayout(model.state, { pageSize: sizes.pageSize, longest: sizes.maxModelLen });
  return body(new ModelRunner(model, stream, { ...sizes, layout, graphs: false }));
}

it("draws behind several tokens of a sequence what steps of one token draw", async () => {
  const device = openTestDevice();
  const stream = device.createStream();
  const config = tinyConfig("LlamaForCausalLM");
  const folder = await writeCheckpoint(config, tinyTensors(config));
  const model = await loadModel(folder, { stream, dtype: "f32" });
  const expected = await withRunner(model, stream, (runner) => oneByOne((step) => runner.submit(step)));
  const drafts = expected.map(({ ids }, i) => ids.slice(0, asks[i]!.numSamples - 1));
  const { step, specs } = draftStep(newScheduler(), drafts);
  const packed = packStep(step, [1, 2, 4], specs);
  const { ids, statuses, sampled } = await withRunner(model, stream, (runner) => runner.submit(packed));
  const wanted = expected.flatMap(({ ids: own }, i) => own.slice(0, asks[i]!.numSamples));
  expect([...ids]).toEqual(wanted);
  expect([...statuses]).toEqual(wanted.map(() => 0));
  const logprobs = expected.flatMap((own, i) => own.logprobs.slice(0, asks[i]!.numSamples));
  expect(sampled).toEqual(logprobs);
  // What the last row is about has been there: an id that was suppressed for the first sample alone.
  expect(expected[3]!.ids[0]).toBeGreaterThanOrEqual(18);
  await device.dispose();
});

test("layouts count samples, not sequences; rows and positions follow", () => {
  const drafts = [[1, 2], [3], [], [4, 5]];
  const { step, specs } = draftStep(newScheduler(), drafts);
  const layout = chooseLayout(step, [1, 2, 4]);
  expect(layout).toMatchObject({ kind: "mixed", numSequences: 4, numSamples: 9, numLogits: 9 });
  const { ints, sampling, sampleLogprobs } = packStep(step, [1, 2, 4], specs);
  const field = (name: "logitIndices" | "sampleRows") => [
    ...ints.subarray(layout.offsets[name], layout.offsets[name] + layout.sizes[name]),
  ];
  expect(field("logitIndices")).toEqual([2, 3, 4, 9, 10, 12, 18, 19, 20]);
  expect(field("sampleRows")).toEqual([0, 0, 0, 1, 1, 2, 3, 3, 3]);
  expect(sampling!.floats.length).toBe(9 * 6);
  expect(sampleLogprobs!.length).toBe(9);
  expect(promptPositions(step, [], specs)).toEqual([]);
});
