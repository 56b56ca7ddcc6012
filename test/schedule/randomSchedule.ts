/** Schedules by chance: options, requests with prefixes in common, aborts, late stops, several steps in flight. */
import { CacheGroup, type CacheGroupOptions, peakBlocks } from "../../lib/schedule/cacheGroup.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import { type JumpingParams, type RanStep, vocabulary } from "./fakeDevice.js";
import { Random } from "./random.js";
import { Simulation } from "./simulation.js";

/** One group as a rule, else up to three, of windows and blocks of any size; or none, where slots keep everything. */
function randomGroups(random: Random, pageSize: number): CacheGroupOptions[] {
  const count = random.pick([1, 1, 2, 3, 0]);
  const most = count === 1 ? 1 : random.between(1, 3);
  return Array.from({ length: count }, () => ({
    window: random.chance(0.5) ? 0 : random.pick([1, 2, pageSize, pageSize + 1, random.between(3, 20)]),
    pagesPerBlock: random.between(1, most),
  }));
}

function randomOptions(random: Random): SchedulerOptions {
  const pageSize = random.pick([1, 2, 3, 4, 8]);
  const maxModelLen = random.between(24, 64);
  const maxSequences = random.between(1, 9);
  const maxStepTokens = maxSequences + random.pick([0, 1, 5, 20, 100]);
  const chunkTokens = random.chance(0.5) ? random.between(1, 12) : maxStepTokens;
  const groups = randomGroups(random, pageSize);
  const mostInStep = Math.min(chunkTokens, maxStepTokens);
  const slotLayers = groups.length === 0 || random.chance(0.3) ? random.between(1, 3) : 0;
  const paged = groups.map((group, i) => new CacheGroup(i, group, pageSize, mostInStep));
  const lifetime = peakBlocks(paged, maxModelLen - 1) + slotLayers;
  return {
    ...{ maxSequences, maxModelLen, pageSize, maxStepTokens, chunkTokens, groups, slotLayers },
    numBlocks: 1 + lifetime + random.pick([0, 1, Math.ceil(lifetime / 2), lifetime * 2, lifetime * 8]),
    admission: random.pick(["optimistic", "optimistic", "reserve"] as const),
    prefixCache: random.chance(0.8),
  };
}

/** Prompts are cut from few families, so that prefixes repeat and end anywhere in a page. */
function randomPrompt(random: Random, families: readonly number[][], maxModelLen: number): number[] {
  const family = random.pick(families);
  const prompt = family.slice(0, random.between(1, Math.min(family.length, maxModelLen - 1)));
  if (random.chance(0.3)) prompt[random.below(prompt.length)] = random.below(vocabulary);
  return prompt;
}

function randomParams(random: Random, priorities: readonly number[]): JumpingParams {
  return {
    priority: random.pick(priorities),
    maxTokens: random.chance(0.1) ? 1 : random.between(1, 40),
    ...(random.chance(0.7) ? { stopTokenIds: new Set([3, 17]) } : {}),
    ...(random.chance(0.2) ? { adapterId: random.pick(["a", "b"]) } : {}),
    ...(random.chance(0.2) ? { cacheSalt: random.pick(["s", "t"]) } : {}),
    ...(random.chance(0.15) ? { promptLogits: true } : {}),
    ...(random.chance(0.2) ? { jumps: random.below(1000) } : {}),
  };
}

/** @param onStep called with every step, after the device without arithmetic has run it */
export function runRandomSchedule(
  seed: number,
  onStep?: (ran: RanStep, options: SchedulerOptions) => void,
): Simulation {
  const random = new Random(seed);
  const options = randomOptions(random);
  const simulation = new Simulation(options, random, onStep && ((ran) => onStep(ran, options)));
  const families = Array.from({ length: 3 }, () =>
    Array.from({ length: 60 }, () => random.below(vocabulary)),
  );
  const depth = random.between(1, 3);
  const priorities = random.pick([[0], [0, 1], [-5, 0, 0, 9]]);
  const requests = [];
  const total = random.between(5, 30);
  while (requests.length < total || simulation.stepsInFlight > 0) {
    if (requests.length < total && random.chance(0.4)) {
      const prompt = randomPrompt(random, families, options.maxModelLen);
      requests.push(simulation.submit(`r${requests.length}`, prompt, randomParams(random, priorities)));
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
