// Contract: whatever is submitted, aborted and drained when, with a pool that preempts, the pool is whole after every step,
// every request ends exactly once, and one that ran to its end has the tokens that it has alone.
import { beforeAll, describe, expect, it } from "vitest";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import type { GenerationStream } from "../../lib/llm/generationStream.js";
import type { GenerateChunk } from "../../lib/llm/output.js";
import { firstSeed } from "../support/seed.js";
import { Random } from "../schedule/random.js";
import { BareEngine } from "./bareEngine.js";
import { goldenFolder, randomPrompt } from "./checkpoints.js";

const folder = goldenFolder("qwen3_moe");
const seeds = Array.from({ length: 24 }, (_, i) => firstSeed + i);
const actionsPerSeed = 80;
/** Schedules end early on a slow machine; the seeds that ran are checked all the same. */
const timeLimitMs = 9_000;

interface Template {
  readonly prompt: readonly number[];
  readonly options: GenerateOptions;
  /** Its tokens when it runs alone, of each continuation. */
  expected: readonly (readonly number[])[];
}

/** Few requests that are submitted again and again: so their prefixes meet in the cache, and each is run alone once. */
function makeTemplates(): Template[] {
  const random = new Random(99);
  const common = randomPrompt(random, 80);
  return Array.from({ length: 24 }, (_, i) => {
    const shared = common.slice(0, random.below(81));
    const options: GenerateOptions = {
      maxTokens: random.between(1, 50),
      ...(random.chance(0.6) && { temperature: 1.1, seed: i, topK: random.pick([0, 5, 50]) }),
      ...(random.chance(0.3) && { repetitionPenalty: 1.3, frequencyPenalty: 0.2 }),
      ...(random.chance(0.3) && { logprobs: random.below(4) }),
      ...(random.chance(0.2) && { promptLogprobs: random.below(3) }),
      ...(random.chance(0.2) && { n: random.between(2, 3) }),
      ...(random.chance(0.2) && { cacheSalt: "other" }),
      ...(random.chance(0.3) && { stopTokenIds: Array.from({ length: 12 }, () => random.below(380)) }),
      ...(random.chance(0.2) && { minTokens: 1 }),
    };
    return { prompt: [...shared, ...randomPrompt(random, random.between(1, 30))], options, expected: [] };
  });
}

const templates = makeTemplates();

beforeAll(async () => {
  const alone = await BareEngine.open(folder, {
    pages: 200,
    dtype: "f32",
    threads: 1,
    prefixCache: false,
    graphs: false,
  });
  for (const template of templates) {
    const { choices } = await alone.generate(template.prompt, template.options).result();
    template.expected = choices.map(({ tokenIds }) => tokenIds);
  }
  await alone.close();
});

/** A request of the schedule, read to its end by someone or left to itself. */
interface Submitted {
  readonly template: Template;
  readonly stream: GenerationStream;
  readonly chunks: Promise<readonly GenerateChunk[] | Error>;
}

async function readAll(stream: GenerationStream): Promise<GenerateChunk[] | Error> {
  const chunks: GenerateChunk[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (error) {
    return error as Error;
  }
  return chunks;
}

async function runSchedule(seed: number, totals: { preemptions: number; aborted: number; finished: number }) {
  const random = new Random(seed);
  const options: LLMOptions & { pages: number } = {
    dtype: "f32",
    pages: random.between(20, 40), // of 8 tokens; the longest request needs 20
    pageSize: 8,
    threads: 1,
    maxSequences: random.between(1, 9),
    maxStepTokens: random.between(9, 60),
    prefixCache: random.chance(0.8),
    admission: random.chance(0.8) ? "optimistic" : "reserve",
    graphs: random.chance(0.8),
  };
  const bare = await BareEngine.open(folder, options);
  const submitted: Submitted[] = [];
  for (let action = 0; action < actionsPerSeed; action++) {
    const kind = random.next();
    if (kind < 0.5) {
      const template = random.pick(templates);
      const stream = bare.generate(template.prompt, template.options);
      submitted.push({ template, stream, chunks: readAll(stream) });
    } else if (kind < 0.7 && submitted.length > 0) {
      random.pick(submitted).stream.abort(); // maybe for the second time, or after its end
    } else {
      for (let turns = random.below(12); turns > 0; turns--)
        await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await bare.close(random.pick([0, 20, 60_000]));
  totals.preemptions += bare.engine.stats.preemptions;
  bare.engine.checkIntegrity();
  expect(bare.engine.stats).toMatchObject({
    running: 0,
    waiting: 0,
    usedPages: 0,
    stepsInFlight: 0,
    state: "closed",
  });
  for (const request of submitted) await verify(request, totals);
}

async function verify({ template, chunks }: Submitted, totals: { aborted: number; finished: number }) {
  const seen = await chunks;
  if (seen instanceof Error) throw seen;
  for (const [index, expected] of template.expected.entries()) {
    const own = seen.filter((chunk) => chunk.index === index);
    const tokens = own.flatMap(({ tokenIds }) => tokenIds);
    expect(own.map(({ finishReason }) => finishReason !== null)).toEqual(
      own.map((_, i) => i === own.length - 1),
    );
    const aborted = own.at(-1)!.finishReason === "abort";
    expect(tokens).toEqual(aborted ? expected.slice(0, tokens.length) : expected);
    expect(own.at(-1)!.usage!.completionTokens).toBe(tokens.length);
    totals[aborted ? "aborted" : "finished"]++;
  }
}

describe("random schedules", () => {
  it("keep the pool whole and every token as it was", async () => {
    const totals = { preemptions: 0, aborted: 0, finished: 0 };
    const end = performance.now() + timeLimitMs;
    for (const seed of seeds) if (performance.now() < end) await runSchedule(seed, totals);
    expect(totals.preemptions).toBeGreaterThan(0);
    expect(totals.aborted).toBeGreaterThan(0);
    expect(totals.finished).toBeGreaterThan(0);
  });
});
