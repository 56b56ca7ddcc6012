// Contract: the bugs that other engines had (research on their issue trackers) cannot happen here. One case per bug class.
import { describe, expect, test } from "vitest";
import { type FinishReason, Request, type RequestParams } from "../../lib/schedule/request.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import { Random } from "./random.js";
import { Simulation } from "./simulation.js";

const defaults: SchedulerOptions = {
  maxSequences: 4,
  maxStepTokens: 32,
  maxModelLen: 64,
  pageSize: 4,
  numBlocks: 41,
  admission: "optimistic",
  prefixCache: true,
};
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);
const simulate = (options: Partial<SchedulerOptions> = {}) =>
  new Simulation({ ...defaults, ...options }, new Random(1));
const plain: RequestParams = { maxTokens: 30 };

describe("preemption x prefix cache", () => {
  // Three requests of at most 11 pages each in 16 pages.
  for (const depth of [1, 2, 3]) {
    test(`preempted requests find their own pages again and give the same tokens, ${depth} in flight`, () => {
      const simulation = simulate({ numBlocks: 17 });
      for (const id of ["a", "b", "c"]) simulation.submit(id, range(12, id.charCodeAt(0) % 7), plain);
      simulation.drain(depth);
      simulation.verify();
      expect(simulation.scheduler.stats.preemptions).toBeGreaterThan(0);
      expect(simulation.coverage.readmissions).toBeGreaterThan(0);
      expect(simulation.scheduler.stats.prefix.hits).toBeGreaterThan(0);
    });
  }

  test("a preempted request waits until the ids it has in flight are known", () => {
    const simulation = simulate({ numBlocks: 17 });
    const requests = ["a", "b", "c"].map((id) => simulation.submit(id, range(12), plain));
    while (simulation.scheduler.stats.preemptions === 0) {
      simulation.schedule();
      if (simulation.stepsInFlight > 2) simulation.commit();
    }
    const victim = requests.find((request) => request.status === "waiting")!;
    expect(victim.inFlight).toBeGreaterThan(0);
    const others = requests.filter((request) => request !== victim);
    for (const other of others) simulation.finish(other, "abort");
    expect(simulation.schedule()).toBeNull();
    while (victim.inFlight > 0) simulation.commit();
    expect(simulation.schedule()!.admissions[0]!.tokens).toEqual(Int32Array.from(victim.tokens));
    simulation.drain(2);
    simulation.verify();
  });

  test("the victim is the one that loses least, not the last or the first", () => {
    const simulation = simulate({ numBlocks: 17, maxStepTokens: 64, prefixCache: false });
    const big = simulation.submit("big", range(15), plain);
    const small = simulation.submit("small", range(3, 20), plain);
    const middle = simulation.submit("middle", range(12, 40), plain);
    while (simulation.scheduler.stats.preemptions === 0) {
      simulation.schedule();
      simulation.commit();
    }
    expect([big, small, middle].map((request) => request.status)).toEqual(["running", "waiting", "running"]);
    simulation.drain(1);
    simulation.verify();
  });

  test("of equals the victim is the one that was admitted last", () => {
    const simulation = simulate({ numBlocks: 17, maxStepTokens: 64, prefixCache: false });
    const requests = range(3).map((i) => simulation.submit(`r${i}`, range(12, 20 * i), plain));
    while (simulation.scheduler.stats.preemptions === 0) {
      simulation.schedule();
      simulation.commit();
    }
    expect(requests.map((request) => request.status)).toEqual(["running", "running", "waiting"]);
    simulation.drain(1);
    simulation.verify();
  });

  test("a request never loses its pages to another of the same step", () => {
    const simulation = simulate({ numBlocks: 17, prefixCache: false });
    for (const id of ["a", "b", "c", "d"]) simulation.submit(id, range(9), plain);
    while (simulation.scheduler.stats.running + simulation.scheduler.stats.waiting > 0) {
      const step = simulation.schedule();
      for (const { request } of step?.sequences ?? []) expect(request.status).toBe("running");
      simulation.commit();
    }
    simulation.verify();
    expect(simulation.scheduler.stats.preemptions).toBeGreaterThan(0);
  });

  test("prompt logits come once, even if the prefill is interrupted and repeated", () => {
    const simulation = simulate({ numBlocks: 17, chunkTokens: 3 });
    for (const id of ["a", "b", "c"]) simulation.submit(id, range(14), { ...plain, promptLogits: true });
    simulation.drain(2);
    simulation.verify();
    expect(simulation.scheduler.stats.preemptions).toBeGreaterThan(0);
  });
});

describe("zero-length queries", () => {
  for (const length of [1, 3, 4, 5, 8, 9, 12]) {
    test(`a fully cached prompt of ${length} tokens still runs its last token`, () => {
      const simulation = simulate();
      simulation.submit("first", range(length), plain);
      simulation.schedule();
      simulation.submit("second", range(length), plain);
      const step = simulation.schedule()!;
      const second = step.sequences.find(({ request }) => request.id === "second")!;
      expect(second.count).toBeGreaterThanOrEqual(1);
      expect(second.start).toBe(Math.floor((length - 1) / 4) * 4);
      expect(step.pageUpdates.filter(({ row }) => row === second.row)).toHaveLength(Math.ceil(length / 4));
      simulation.drain(2);
      simulation.verify();
    });
  }
});

describe("a request ends exactly once, whatever its state", () => {
  /** Brings a request into a state and returns it. */
  const states: Record<string, (simulation: Simulation) => Request> = {
    waiting: (simulation) => simulation.submit("x", range(5), plain),
    prefilling: (simulation) => {
      const request = simulation.submit("x", range(40), plain);
      simulation.schedule();
      return request;
    },
    "decoding, nothing in flight": (simulation) => {
      const request = simulation.submit("x", range(5), plain);
      simulation.schedule();
      simulation.commit();
      return request;
    },
    "decoding, two in flight": (simulation) => {
      const request = simulation.submit("x", range(5), plain);
      simulation.schedule();
      simulation.schedule();
      return request;
    },
    "the final token in flight": (simulation) => {
      const request = simulation.submit("x", range(5), { maxTokens: 1 });
      simulation.schedule();
      return request;
    },
    "preempted, with ids in flight": (simulation) => {
      const all = ["a", "b", "c", "d"].map((id) => simulation.submit(id, range(28, id.charCodeAt(0)), plain));
      while (simulation.scheduler.stats.preemptions === 0) {
        simulation.schedule();
        if (simulation.stepsInFlight > 2) simulation.commit();
      }
      return all.find((request) => request.status === "waiting" && request.inFlight > 0)!;
    },
    finished: (simulation) => {
      const request = simulation.submit("x", range(5), { maxTokens: 1 });
      simulation.drain(1);
      return request;
    },
  };
  for (const [name, reach] of Object.entries(states)) {
    for (const reason of ["abort", "stop", "error"] satisfies FinishReason[]) {
      test(`${name}: ${reason}, twice`, () => {
        const simulation = simulate();
        const request = reach(simulation);
        simulation.finish(request, reason);
        simulation.finish(request, reason);
        expect(request.status).toBe("finished");
        expect(request.finishReason).toBe(name === "finished" ? "length" : reason);
        simulation.drain(2);
        simulation.verify();
      });
    }
  }

  test("an unknown id is not an error", () => {
    expect(new Scheduler(defaults).finish("nobody", "abort")).toBe(false);
  });
});

describe("starvation", () => {
  test("a large request is not passed over by small ones that keep coming", () => {
    const simulation = simulate({ numBlocks: 17, prefixCache: false });
    for (let i = 0; i < 3; i++) simulation.submit(`early${i}`, range(8), plain);
    simulation.schedule();
    const large = simulation.submit("large", range(60), { maxTokens: 4 });
    for (let i = 0; large.status === "waiting"; i++) {
      expect(i).toBeLessThan(300);
      simulation.submit(`late${i}`, [1], { maxTokens: 2 });
      simulation.schedule();
      simulation.commit();
    }
    simulation.drain(2);
    simulation.verify();
  });

  test("a long prefill does not stop the decodes of others", () => {
    const simulation = simulate({ maxStepTokens: 4 });
    const short = simulation.submit("short", [1], plain);
    simulation.schedule();
    simulation.submit("long", range(50), { maxTokens: 2 });
    for (let i = 0; i < 10; i++) {
      const step = simulation.schedule()!;
      expect(step.sequences.map(({ request }) => request.id)).toEqual(["short", "long"]);
      expect(step.numTokens).toBe(4);
      simulation.commit();
    }
    simulation.finish(short, "abort");
    simulation.drain(2);
    simulation.verify();
  });

  test("what can never fit is refused and does not block those behind it", () => {
    const simulation = simulate({ numBlocks: 5 });
    expect(() => simulation.submit("huge", range(20), plain)).toThrow(/KV pages/);
    simulation.submit("small", range(5), { maxTokens: 5 });
    simulation.drain(1);
    simulation.verify();
  });

  test("two requests that each need nearly the whole pool finish one after the other", () => {
    for (const admission of ["optimistic", "reserve"] as const) {
      const simulation = simulate({ numBlocks: 17, admission, prefixCache: false });
      for (const id of ["a", "b", "c"]) simulation.submit(id, range(20), { maxTokens: 44 });
      simulation.drain(2);
      simulation.verify();
      if (admission === "reserve") expect(simulation.scheduler.stats.preemptions).toBe(0);
    }
  });
});

test("a step does not look at requests behind the head of the queue; thousands of them can be aborted", () => {
  const scheduler = new Scheduler(defaults);
  const requests = Array.from({ length: 5000 }, (_, i) => new Request(`r${i}`, [1, 2, 3], { maxTokens: 2 }));
  for (const request of requests) scheduler.add(request);
  const touched = () => {
    throw new Error("a waiting request was looked at");
  };
  for (const request of requests.slice(200)) Object.defineProperty(request, "inFlight", { get: touched });
  while (scheduler.stats.waiting > 4805) {
    const step = scheduler.schedule()!;
    scheduler.commit(step, new Int32Array(step.samples.length));
  }
  for (const { id } of new Random(1).shuffle(requests)) scheduler.finish(id, "abort");
  expect(scheduler.stats).toMatchObject({ running: 0, waiting: 0, usedPages: 0 });
});
