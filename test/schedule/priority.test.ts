// Contract: requests of a lower number are served first and lose their blocks last, those of equal priority as if there were none; nobody
// who runs waits for a token because of others' prompts.
import { describe, expect, test } from "vitest";
import { Request } from "../../lib/schedule/request.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import { firstSeed, runsOf } from "../support/seed.js";
import { Random } from "./random.js";
import { smallPool } from "./smallPool.js";

const make = (options: Partial<SchedulerOptions> = {}) => new Scheduler({ ...smallPool, ...options });

function add(scheduler: Scheduler, id: string, length: number, priority = 0, maxTokens = 20): Request {
  const prompt = Array.from({ length }, (_, i) => i + 1);
  const request = new Request(id, prompt, { maxTokens, priority });
  scheduler.add(request);
  return request;
}

/** Runs a step. @returns what it ran */
function run(scheduler: Scheduler): string | null {
  const step = scheduler.schedule();
  if (!step) return null;
  scheduler.commit(step, new Array<number>(step.samples.length).fill(7));
  scheduler.checkIntegrity();
  return step.sequences.map(({ request, start, count }) => `${request.id}:${start}+${count}`).join(" ");
}

describe("waiting", () => {
  test("the most urgent first, of equals the first", () => {
    const scheduler = make({ maxSequences: 2 });
    for (const [i, priority] of [0, 0, 5, -1, 0, -1, 5].entries()) add(scheduler, `${i}`, 2, priority, 1);
    expect([run(scheduler), run(scheduler), run(scheduler), run(scheduler)]).toEqual([
      ...["3:0+2 5:0+2", "0:0+2 1:0+2", "4:0+2 2:0+2", "6:0+2"],
    ]);
  });

  test("one that does not fit yet is not passed by less urgent ones", () => {
    const scheduler = make({ numBlocks: 7 });
    add(scheduler, "small", 4, 0, 12);
    run(scheduler);
    add(scheduler, "large", 20, -1, 1); // 5 blocks and one of reserve
    add(scheduler, "later", 2, 0, 1);
    for (let i = 0; i < 11; i++) expect(run(scheduler)).toBe(`small:${4 + i}+1`);
    expect(run(scheduler)).toBe("large:0+16");
  });
});

describe("a step", () => {
  test("has the most urgent first, and leaves every decode its token", () => {
    const scheduler = make({ maxStepTokens: 8, maxSequences: 3 });
    add(scheduler, "slow", 2, 1);
    expect(run(scheduler)).toBe("slow:0+2");
    add(scheduler, "fast", 2, 0);
    expect(run(scheduler)).toBe("slow:2+1 fast:0+2");
    add(scheduler, "urgent", 20, -1);
    expect(run(scheduler)).toBe("fast:2+1 slow:3+1 urgent:0+6");
    expect(run(scheduler)).toBe("urgent:6+6 fast:3+1 slow:4+1");
    expect(run(scheduler)).toBe("urgent:12+6 fast:4+1 slow:5+1");
    expect(run(scheduler)).toBe("urgent:18+2 fast:5+1 slow:6+1");
    expect(run(scheduler)).toBe("urgent:20+1 fast:6+1 slow:7+1");
  });
});

describe("preemption", () => {
  test("takes from the least urgent, however much that one loses", () => {
    const scheduler = make({ numBlocks: 1 + 9 });
    const cheap = add(scheduler, "cheap", 3, 0);
    const dear = add(scheduler, "dear", 13, 1);
    const urgent = add(scheduler, "urgent", 8, -1);
    const statuses: string[] = [];
    while (scheduler.stats.preemptions === 0) run(scheduler);
    for (const request of [cheap, dear, urgent]) statuses.push(request.status);
    expect(statuses).toEqual(["running", "waiting", "running"]);
  });

  test("a less urgent request gives way itself rather than take from others", () => {
    const scheduler = make({ numBlocks: 1 + 8 });
    const low = add(scheduler, "low", 4, 3);
    const high = add(scheduler, "high", 12, 0);
    while (scheduler.stats.preemptions === 0) run(scheduler);
    expect([low.status, high.status]).toEqual(["waiting", "running"]);
    while (run(scheduler) !== null);
    expect([low.finishReason, high.finishReason]).toEqual(["length", "length"]);
    expect(low.tokens.length).toBe(24);
  });
});

/** Random requests in a pool that is too small. @returns ids in the order of their ends */
function runRandom(seed: number, shift: number, isMixed: boolean): string[] {
  const random = new Random(seed);
  const scheduler = make({
    maxSequences: random.between(1, 5),
    numBlocks: 1 + random.between(17, 30),
    chunkTokens: random.between(1, 16),
  });
  const requests: Request[] = [];
  const ended: string[] = [];
  for (let turn = 0; turn < 4000 && (turn < 40 || ended.length < requests.length); turn++) {
    if (turn < 40 && random.chance(0.5)) {
      const priority = random.below(3);
      const id = `${requests.length}`;
      const length = random.between(1, 30);
      requests.push(add(scheduler, id, length, isMixed ? priority : shift, random.between(1, 30)));
    }
    const runners = requests.filter(({ status }) => status === "running");
    const decoding = runners.filter(({ remaining }) => remaining === 1).map(({ id }) => id);
    const before = scheduler.stats.preemptions;
    const step = run(scheduler);
    const preempted = runners.filter(({ status }) => status === "waiting");
    // Nobody less urgent kept its blocks: every step is committed at once, so that all of them could be taken.
    const isSpared = (one: Request) => preempted.some(({ priority }) => one.priority > priority);
    const spared = runners.filter((one) => one.status === "running" && isSpared(one));
    const ran = step?.split(" ").map((one) => one.replace(/:.*/, "")) ?? [];
    const missing = decoding.filter((id) => !ran.includes(id));
    const { preemptions, waiting, running } = scheduler.stats;
    const isStuck = step === null && waiting + running > 0;
    if (spared.length > 0 || missing.length > preemptions - before || isStuck)
      throw new Error(`turn ${turn}: spared ${spared.length}, without a token ${missing}, step ${step}`);
    for (const request of requests) {
      if (request.status === "finished" && !ended.includes(request.id)) ended.push(request.id);
    }
  }
  expect(ended).toHaveLength(requests.length);
  return [...ended, `${scheduler.stats.preemptions}`];
}

test("random schedules with priorities end every request, and take from the least urgent", () => {
  let preemptions = 0;
  for (let seed = firstSeed; seed < firstSeed + runsOf({ few: 40, whole: 600 }); seed++)
    preemptions += Number(runRandom(seed, 0, true).at(-1));
  expect(preemptions).toBeGreaterThan(40);
});

test("of equal priorities it does not matter which one", () => {
  for (let seed = firstSeed; seed < firstSeed + 10; seed++)
    expect(runRandom(seed, -7, false)).toEqual(runRandom(seed, 0, false));
});
