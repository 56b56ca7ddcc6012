// Contract: whatever the schedule (batching, chunking, prefix hits, preemption, aborts, late stops, steps in flight), every
// request gets the tokens it gets alone, ends exactly once, and leaves nothing behind.
import { expect, test } from "vitest";
import type { RequestParams } from "../../lib/schedule/request.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import { vocabulary } from "./fakeDevice.js";
import { firstSeed } from "../support/seed.js";
import { Random } from "./random.js";
import { type Coverage, Simulation } from "./simulation.js";

function randomOptions(random: Random): SchedulerOptions {
  const pageSize = random.pick([1, 2, 3, 4, 8]);
  const maxModelLen = random.between(24, 64);
  const lifetime = Math.ceil((maxModelLen - 1) / pageSize);
  const maxSequences = random.between(1, 9);
  return {
    maxSequences,
    maxModelLen,
    pageSize,
    maxStepTokens: maxSequences + random.pick([0, 1, 5, 20, 100]),
    numPages: 1 + lifetime + random.pick([0, 1, Math.ceil(lifetime / 2), lifetime * 2, lifetime * 8]),
    admission: random.pick(["optimistic", "optimistic", "reserve"] as const),
    prefixCache: random.chance(0.8),
    ...(random.chance(0.5) ? { chunkTokens: random.between(1, 12) } : {}),
  };
}

/** Prompts are cut from few families, so that prefixes repeat and end anywhere in a page. */
function randomPrompt(random: Random, families: readonly number[][], maxModelLen: number): number[] {
  const family = random.pick(families);
  const prompt = family.slice(0, random.between(1, Math.min(family.length, maxModelLen - 1)));
  if (random.chance(0.3)) prompt[random.below(prompt.length)] = random.below(vocabulary);
  return prompt;
}

function randomParams(random: Random): RequestParams {
  return {
    maxTokens: random.chance(0.1) ? 1 : random.between(1, 40),
    ...(random.chance(0.7) ? { stopTokenIds: new Set([3, 17]) } : {}),
    ...(random.chance(0.2) ? { adapterId: random.pick(["a", "b"]) } : {}),
    ...(random.chance(0.2) ? { cacheSalt: random.pick(["s", "t"]) } : {}),
    ...(random.chance(0.15) ? { promptLogits: true } : {}),
  };
}

function runRandomSchedule(seed: number): Simulation {
  const random = new Random(seed);
  const options = randomOptions(random);
  const simulation = new Simulation(options, random);
  const families = Array.from({ length: 3 }, () =>
    Array.from({ length: 60 }, () => random.below(vocabulary)),
  );
  const depth = random.between(1, 3);
  const requests = [];
  const total = random.between(5, 30);
  while (requests.length < total || simulation.stepsInFlight > 0) {
    if (requests.length < total && random.chance(0.4)) {
      const prompt = randomPrompt(random, families, options.maxModelLen);
      requests.push(simulation.submit(`r${requests.length}`, prompt, randomParams(random)));
    }
    if (requests.length > 0 && random.chance(0.03)) {
      simulation.finish(random.pick(requests), random.pick(["abort", "stop", "error"] as const));
    }
    if (simulation.stepsInFlight < depth) simulation.schedule();
    if (simulation.stepsInFlight >= depth || random.chance(0.3)) simulation.commit();
  }
  simulation.drain(depth);
  simulation.verify();
  return simulation;
}

test("random schedules give every request the tokens it gets alone", () => {
  const coverage: Coverage = { steps: 0, decodeSteps: 0, chunks: 0, discarded: 0, readmissions: 0 };
  let preemptions = 0;
  let hits = 0;
  let evictions = 0;
  for (let seed = firstSeed; seed < firstSeed + 250; seed++) {
    try {
      const simulation = runRandomSchedule(seed);
      for (const key of Object.keys(coverage) as (keyof Coverage)[])
        coverage[key] += simulation.coverage[key];
      preemptions += simulation.scheduler.stats.preemptions;
      hits += simulation.scheduler.stats.prefix.hits;
      evictions += simulation.scheduler.stats.prefix.evictions;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  // The schedules must have met what they are meant to test.
  for (const [what, count] of Object.entries({ ...coverage, preemptions, hits, evictions })) {
    expect(count, what).toBeGreaterThan(100);
  }
});
