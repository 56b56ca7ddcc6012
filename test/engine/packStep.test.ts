// Contract: what a runner gets of a step is plain data that does not change, so that it runs a copy with the same result; what comes
// back by row reaches the request that it is about.
import { describe, expect, it, test } from "vitest";
import type { DeviceStep } from "../../lib/engine/deviceStep.js";
import { greedySpec, type RequestReport, type RequestSpec } from "../../lib/engine/requestSpec.js";
import { packStep, promptPositions } from "../../lib/engine/packStep.js";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import { greedySampling } from "../../lib/engine/sampling.js";
import { computeLogits } from "../../lib/llm/requests.js";
import { sampleColumns } from "../../lib/ops/sample.js";
import { Request } from "../../lib/schedule/request.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import { BareEngine, type BareOptions } from "../llm/bareEngine.js";
import { Random } from "../support/random.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const plainPrototypes: readonly unknown[] = [Object, Array, Int32Array, Float32Array, Uint8Array].map(
  (type): unknown => type.prototype,
);

/** Where in `value` stands what is no plain data: a function, an instance of a class, undefined. */
function oddPlaces(value: unknown, place = "data"): string[] {
  if (value === null || ["number", "boolean", "string"].includes(typeof value)) return [];
  if (typeof value !== "object") return [`${place}: ${typeof value}`];
  if (!plainPrototypes.includes(Object.getPrototypeOf(value)))
    return [`${place}: ${value.constructor?.name}`];
  if (ArrayBuffer.isView(value)) return [];
  return Object.entries(value).flatMap(([name, part]) => oddPlaces(part, `${place}.${name}`));
}

const vocabSize = 37;

/** Every way to draw a token and everything that can be asked of a request, with prompts of one chunk and of several. */
const asks: readonly { readonly length: number; readonly options: GenerateOptions }[] = [
  { length: 3, options: { temperature: 0 } },
  { length: 45, options: { promptLogprobs: 3, logprobs: 1 } },
  { length: 17, options: { temperature: 2, topK: 9, topP: 0.9, minP: 0.01, seed: 2 ** 40 + 5 } },
  { length: 1, options: { repetitionPenalty: 1.5, presencePenalty: 0.5, frequencyPenalty: 0.2 } },
  { length: 20, options: { temperature: 1, seed: 3, logitBias: { 4: 3, 5: -Infinity }, logprobs: 4 } },
  { length: 8, options: { minTokens: 6, stopTokenIds: [1, 2, 3, 4, 5, 6, 7, 8, 9], promptLogprobs: 0 } },
];

async function run(folder: string, options: Partial<BareOptions>) {
  const random = new Random(3);
  const size = { pageSize: 4, maxSequences: 6, maxStepTokens: 24, contextLength: 96 } as const;
  const bare = await BareEngine.open(folder, { ...size, dtype: "f32", pages: 32, ...options });
  try {
    const results = asks.map(({ length, options: own }) => {
      const ids = Array.from({ length }, () => Math.floor(random.uniform() * vocabSize));
      return bare.generate(ids, { maxTokens: 24, ...own }).result();
    });
    const texts = await Promise.all(results);
    const logits = await computeLogits(bare.engine, [3, 1, 4, 1, 5, 9, 2, 6], { ...size, vocabSize });
    return { answers: { texts, logits }, preemptions: bare.engine.stats.preemptions };
  } finally {
    await bare.close();
  }
}

test("steps and results are plain, and their copies give what they give", { timeout: 120_000 }, async () => {
  const config = tinyConfig("LlamaForCausalLM");
  const folder = await writeCheckpoint(config, tinyTensors(config));
  const expected = await run(folder, {});
  const seen: DeviceStep[] = [];
  const odd: string[] = [];
  const transport = <T>(data: T): T => {
    odd.push(...oddPlaces(data));
    const copy = structuredClone(data);
    if ("layout" in (data as object)) seen.push(copy as unknown as DeviceStep);
    return copy;
  };
  // How many steps it takes, and how often one is preempted, depends on when the results of others arrive.
  expect((await run(folder, { transport })).answers).toEqual(expected.answers);
  expect(odd).toEqual([]);
  expect(seen.map(({ index }) => index)).toEqual(seen.map((_, i) => i));
  // What the test is about has been there.
  expect(expected.preemptions).toBeGreaterThan(0);
  const kinds: Readonly<Record<string, (step: DeviceStep) => unknown>> = {
    mixed: ({ layout }) => layout.kind === "mixed",
    "padded decode": ({ layout, sampling }) => layout.kind === "decode" && sampling !== null,
    admission: ({ tokenWrites }) => tokenWrites.length > 0,
    penalties: ({ sampling }) => sampling?.hasPenalties,
    bias: ({ sampling }) => sampling?.bias,
    "log probabilities": ({ sampleLogprobs }) => sampleLogprobs,
    "prompt log probabilities": ({ prompt }) => prompt?.logprobs.some((count) => count === 3),
    logits: ({ prompt }) => prompt?.logits.includes(1),
    "logits where a token is sampled": ({ prompt }) => prompt && prompt.sampleRows.length > 0,
  };
  for (const [name, isOfKind] of Object.entries(kinds)) expect(seen.some(isOfKind), name).toBe(true);
});

test("a step that comes twice is refused, and ends the engine", async () => {
  const config = tinyConfig("LlamaForCausalLM");
  let first: unknown;
  const transport = <T>(data: T): T => ("layout" in (data as object) ? (first ??= data) : data) as T;
  const folder = await writeCheckpoint(config, tinyTensors(config));
  const bare = await BareEngine.open(folder, { pages: 9, dtype: "f32", transport });
  const result = bare.generate([1, 2], { maxTokens: 3 }).result();
  await expect(result).rejects.toMatchObject({
    code: "ERR_INTERNAL",
    message: expect.stringMatching(/step 0 .* behind step 0/) as unknown,
  });
  expect(bare.engine.stats.state).toBe("dead");
  await bare.close();
});

describe("a packed step", () => {
  const newScheduler = () =>
    new Scheduler({
      ...{ maxSequences: 4, maxStepTokens: 64, maxModelLen: 64, pageSize: 4, numBlocks: 99 },
      ...{ admission: "optimistic", prefixCache: false },
    });
  const scored = (id: string, prompt: readonly number[]) =>
    new Request(id, prompt, { maxTokens: 9, promptLogits: true });
  const specMap = (reports: Readonly<Record<string, Partial<RequestReport>>>) => ({
    get: ({ id }: Request): RequestSpec => greedySpec(9, reports[id]),
  });

  it("does not change when its requests go on and end", () => {
    const scheduler = newScheduler();
    scheduler.add(scored("a", [5, 6, 7]));
    scheduler.add(new Request("b", [8, 9], { maxTokens: 2 }));
    const specs = specMap({ a: { promptLogprobs: 1, logprobs: 2 } });
    const first = scheduler.schedule()!;
    const packed = packStep(first, [1, 2, 4], specs);
    const before = structuredClone(packed);
    scheduler.commit(first, [1, 2]);
    for (let step = scheduler.schedule(); step; step = scheduler.schedule())
      scheduler.commit(step, new Int32Array(step.samples.length).fill(3));
    expect([...scheduler.requests]).toEqual([]);
    expect(packed).toEqual(before);
  });

  it("says by row what is asked for, and whose the answers are", () => {
    const scheduler = newScheduler();
    const requests = [
      scored("logprobs", [5, 6, 7]),
      new Request("plain", [8, 9], { maxTokens: 2 }),
      scored("logits", [1, 2, 3]),
      scored("both", [4, 4]),
    ];
    for (const request of requests) scheduler.add(request);
    const specs = specMap({
      logprobs: { promptLogprobs: 2 },
      plain: { logprobs: 0 },
      logits: { promptLogits: true },
      both: { promptLogprobs: 0, promptLogits: true, logprobs: 5 },
    });
    const step = scheduler.schedule()!;
    const packed = packStep(step, [], specs);
    expect(packed.sampleLogprobs).toEqual(Int32Array.of(-1, 0, -1, 5));
    expect(packed.prompt).toEqual({
      sampleRows: Int32Array.of(2, 3),
      nextIds: Int32Array.of(6, 7, 2, 3, 4, 0, 0),
      logprobs: Int32Array.of(2, 2, -1, -1, 0, -1, 0),
      logits: Uint8Array.of(0, 0, 1, 1, 1, 1, 1),
      hidden: new Uint8Array(7),
    });
    const logprobs = { chosen: -1, topIds: new Int32Array(0), topValues: new Float32Array(0) };
    const results = Array.from({ length: 7 }, (_, i) => ({
      ...{ logprobs, isFinite: i !== 1 },
      ...{ logits: Float32Array.of(i), hidden: null },
    }));
    const positions = promptPositions(step, results, specs);
    expect(positions.map(({ request, position, logits }) => [request.id, position, logits![0]])).toEqual([
      ["logprobs", 0, 0],
      ["logprobs", 1, 1],
      ["logits", 0, 2],
      ["logits", 1, 3],
      ["both", 0, 4],
      ["logits", 2, 5],
      ["both", 1, 6],
    ]);
    expect(positions.map(({ isFinite }) => isFinite)).toEqual(results.map(({ isFinite }) => isFinite));
    // What follows the last token of a prompt is none of it.
    expect(positions.map((one) => one.logprobs !== null)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it("says which tokens of each row a mixed step runs, and nothing of it where a graph runs them", () => {
    const scheduler = newScheduler();
    const packed: DeviceStep[] = [];
    const run = (): void => {
      const step = scheduler.schedule()!;
      packed.push(packStep(step, [1, 2, 4], specMap({})));
      scheduler.commit(step, new Int32Array(step.samples.length).fill(3));
    };
    scheduler.add(new Request("first", [5, 6, 7], { maxTokens: 9 }));
    run();
    run();
    scheduler.add(new Request("second", [8, 9], { maxTokens: 2 }));
    run();
    expect(packed.map(({ sequences }) => sequences)).toEqual([
      [{ row: 0, start: 0, count: 3 }],
      null,
      [
        { row: 0, start: 4, count: 1 },
        { row: 1, start: 0, count: 2 },
      ],
    ]);
  });

  it("leaves it to the device whether minTokens are there: the step does not change with them", () => {
    const scheduler = newScheduler();
    scheduler.add(new Request("short", [8, 9], { maxTokens: 6 }));
    const sampling = { ...greedySampling, suppressed: [3, 5], minTokens: 2 };
    const specs = { get: (): RequestSpec => ({ ...greedySpec(9), sampling }) };
    const packed: DeviceStep[] = [];
    for (let step = scheduler.schedule(); step; step = scheduler.schedule()) {
      packed.push(packStep(step, [1, 2, 4], specs));
      scheduler.commit(step, [1]);
    }
    expect(packed.length).toBe(6);
    for (const step of packed) {
      expect(step.sampling).toEqual(packed[0]!.sampling);
      expect(step.sampling).toMatchObject({ suppressed: { ids: Int32Array.of(3, 5), width: 2 }, bias: null });
      expect(step.sampling!.ints[sampleColumns.ints.indexOf("minLength")]).toBe(4);
    }
    for (const step of packed.slice(2)) expect(step.layout).toEqual(packed[1]!.layout);
  });

  it("asks for nothing where nothing is asked for", () => {
    const scheduler = newScheduler();
    scheduler.add(new Request("plain", [8, 9], { maxTokens: 2 }));
    const step = scheduler.schedule()!;
    const packed = packStep(step, [], specMap({}));
    expect(packed).toMatchObject({ index: 0, sampling: null, sampleLogprobs: null, prompt: null });
    expect(promptPositions(step, [], specMap({}))).toEqual([]);
  });
});
