// Contract: results are taken in the order of the steps; a step that fails or stalls ends the engine, and with it every
// request exactly once; what goes wrong with the output of one request ends that request only.
import { describe, expect, it, test } from "vitest";
import type { Constraint } from "../../lib/engine/constraint.js";
import type { Engine } from "../../lib/engine/engine.js";
import type { RequestListener } from "../../lib/engine/requestListener.js";
import { OutOfMemoryError, WarploopError } from "../../lib/errors.js";
import { embedding } from "../../lib/ops/embedding.js";
import { greedySpec, makeRequest } from "../../lib/engine/requestSpec.js";
import { BareEngine, Recorder, StubRunner } from "./bareEngine.js";
import { goldenFolder, until } from "./checkpoints.js";

const failure = new WarploopError("ERR_EXECUTION", "planned");

/** One token. */
const one = greedySpec(1);

/** Adds requests of two prompt tokens that ask for the log probabilities of the second, each with a recorder. */
function add(engine: Engine, count: number, recorder = () => new Recorder()): Recorder[] {
  return Array.from({ length: count }, (_, i) => {
    const listener = recorder();
    const spec = greedySpec(3, { promptLogprobs: 0 });
    engine.add(makeRequest(`r${i}`, [1, 2], spec), spec, listener);
    return listener;
  });
}

/** Settles every step as it comes until no request is left, and waits until all are told, which takes turns of its own. */
async function finish(
  engine: Engine,
  runner: StubRunner,
  recorders: readonly Recorder[],
  from = 0,
): Promise<void> {
  const isOver = (): boolean => {
    const { running, waiting, stepsInFlight } = engine.stats;
    return running + waiting + stepsInFlight === 0;
  };
  for (let i = from; ; i++) {
    await until(() => runner.steps.length > i || isOver());
    if (isOver()) break;
    runner.settle(i);
  }
  await until(() => recorders.every(({ ends }) => ends.length > 0));
}

test("results of one step for many requests are handed out in turns of the event loop, in order", async () => {
  const runner = new StubRunner();
  const engine = runner.engine();
  const order: string[] = [];
  let [numTurns, isOver] = [0, false];
  const turn = (): void => {
    numTurns++;
    if (!isOver) setImmediate(turn);
  };
  for (const name of "abcdefgh") {
    const listener: RequestListener = Object.assign(new Recorder(), {
      onToken: () => {
        for (const end = performance.now() + 2; performance.now() < end;);
        order.push(name);
        return undefined;
      },
    });
    engine.add(makeRequest(name, [1, 2], one), one, listener);
  }
  await until(() => runner.steps.length === 1);
  setImmediate(turn);
  runner.settle(0);
  await until(() => order.length >= 4);
  engine.abort("h"); // between two turns; its token is not told
  await engine.drain(60_000);
  isOver = true;
  expect(order.join("")).toBe("abcdefg");
  expect(numTurns).toBeGreaterThanOrEqual(3);
  await engine.close();
});

test("steps that take long to submit are submitted in turns of their own", async () => {
  const runner = new StubRunner();
  const submit = runner.submit.bind(runner);
  let [numTurns, isOver] = [0, false];
  const turn = (): void => {
    numTurns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn); // before any of the engine's, so that it comes first in every turn
  const turns: number[] = [];
  runner.submit = (step) => {
    turns.push(numTurns);
    for (const end = performance.now() + 5; performance.now() < end;);
    return submit(step);
  };
  const engine = runner.engine();
  const recorders = add(engine, 2);
  await until(() => runner.steps.length === 2);
  isOver = true;
  expect(turns[1]).toBeGreaterThan(turns[0]!);
  await finish(engine, runner, recorders);
  expect(recorders.map(({ ends }) => ends)).toEqual([["length"], ["length"]]);
  await engine.close();
});

describe("steps that settle out of order", () => {
  it("are taken in their own", async () => {
    const runner = new StubRunner();
    const engine = runner.engine();
    const recorders = add(engine, 2);
    await until(() => runner.steps.length === 2);
    runner.settle(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(recorders.map(({ tokens }) => tokens)).toEqual([[], []]);
    runner.settle(0);
    await finish(engine, runner, recorders, 2);
    expect(recorders.map(({ tokens, ends }) => [tokens, ends])).toEqual([
      [[7, 7, 7], ["length"]],
      [[7, 7, 7], ["length"]],
    ]);
    expect(engine.stats.state).toBe("running");
    await engine.close();
  });

  it("happen when a long log probability read shares its callback with the next step", async () => {
    const { engine, generate, close } = await opened();
    const plain = generate([4, 5, 6], { maxTokens: 500 }).result();
    for (let i = 0; i < 20; i++) {
      const read = generate([1, 2, 3], { maxTokens: 1, logprobs: 4, promptLogprobs: 4 }).result();
      await until(() => engine.stats.stepsInFlight === 2);
      const end = performance.now() + 5;
      while (performance.now() < end); // the event loop is late: both steps settle in one callback
      expect((await read).logprobs).toHaveLength(1);
    }
    expect((await plain).tokenIds).toHaveLength(500);
    await close();
  });
});

async function opened() {
  const bare = await BareEngine.open(goldenFolder("qwen3"), { pages: 60, dtype: "f32", threads: 1 });
  const { engine, stream } = bare;
  return { engine, stream, generate: bare.generate.bind(bare), close: bare.close.bind(bare) };
}

describe("a step that fails", () => {
  const ends: readonly { readonly name: string; readonly end: (runner: StubRunner) => void }[] = [
    { name: "the first of two", end: ({ steps }) => steps[0]!.reject(failure) },
    { name: "the second of two", end: ({ steps }) => steps[1]!.reject(failure) },
    { name: "both", end: ({ steps }) => steps.forEach(({ reject }) => reject(failure)) },
  ];

  it.each(ends)("$name: every request fails once and later calls are refused", async ({ end }) => {
    const runner = new StubRunner();
    const engine = runner.engine();
    const recorders = add(engine, 10); // 8 run, 2 wait
    await until(() => runner.steps.length === 2);
    end(runner);
    await until(() => engine.stats.state === "dead");
    for (const { ends: seen } of recorders) expect(seen).toEqual([failure]);
    expect(() => engine.add(makeRequest("late", [1], one), one, new Recorder())).toThrow(failure);
    engine.abort("r0"); // legal, without effect
    await engine.drain(1000);
    engine.checkIntegrity();
    const closed = engine.close();
    for (const index of [0, 1]) runner.settle(index); // the step that was still in flight
    await closed;
    for (const { ends: seen } of recorders) expect(seen).toHaveLength(1);
    expect(runner.steps).toHaveLength(2);
    expect(engine.stats.state).toBe("dead");
  });

  it("before it reaches the device", async () => {
    const runner = new StubRunner();
    const engine = runner.engine();
    runner.refusal = failure;
    const recorders = add(engine, 2);
    await until(() => engine.stats.state === "dead");
    expect(recorders.map((recorder) => recorder.ends)).toEqual([[failure], [failure]]);
    await engine.close();
  });

  it("for lack of memory: every request fails once and the engine goes on", async () => {
    const runner = new StubRunner();
    const engine = runner.engine();
    const first = add(engine, 3);
    await until(() => runner.steps.length === 2); // one is in flight when the next is refused
    const failure = new OutOfMemoryError("planned", 100, 10);
    runner.refusal = failure;
    runner.settle(0);
    await until(() => first.every(({ ends }) => ends.length > 0));
    expect(first.map(({ ends }) => ends)).toEqual([[failure], [failure], [failure]]);
    runner.refusal = undefined;
    const later = add(engine, 3);
    runner.settle(1);
    await finish(engine, runner, later, 2);
    expect(later.map(({ tokens, ends }) => [tokens, ends])).toEqual(
      Array.from(later, () => [[7, 7, 7], ["length"]]),
    );
    expect(engine.stats).toMatchObject({ state: "running", stepsInFlight: 0 });
    engine.checkIntegrity();
    await engine.close();
  });

  it("for lack of memory: no step is run that follows one that was not", async () => {
    const bare = await BareEngine.open(goldenFolder("qwen3"), { pages: 40, prefixCache: false });
    const generate = () => bare.generate([5, 6, 7, 8, 9], { maxTokens: 20, temperature: 0 }).result();
    const { stream } = bare;
    const allocate = stream.empty.bind(stream);
    stream.empty = () => {
      stream.empty = allocate;
      throw new OutOfMemoryError("planned", 100, 10);
    };
    await expect(generate()).rejects.toThrow("planned");
    expect((await generate()).tokenIds).toHaveLength(20);
    expect(bare.engine.stats.state).toBe("running");
    await bare.close();
  });

  it("by taking too long", async () => {
    const runner = new StubRunner();
    const engine = runner.engine(20);
    const recorders = add(engine, 2);
    await until(() => engine.stats.state === "dead"); // on a busy machine looks come late, and late ones count once
    const stalled = expect.objectContaining({ code: "ERR_STALLED" }) as Error;
    expect(recorders.map((recorder) => recorder.ends)).toEqual([[stalled], [stalled]]);
    const closed = engine.close();
    for (const index of [0, 1]) runner.settle(index); // late results change nothing
    await closed;
    expect(recorders.map(({ tokens }) => tokens)).toEqual([[], []]);
  });

  it("by taking too long for one operation, not for all of a step", async () => {
    const runner = new StubRunner();
    const engine = runner.engine(100);
    const recorders = add(engine, 1);
    const goesOn = setInterval(() => runner.progress++, 10);
    await new Promise((resolve) => setTimeout(resolve, 500)); // one step, five times the limit
    expect(engine.stats.state).toBe("running");
    clearInterval(goesOn);
    await until(() => engine.stats.state === "dead");
    expect(recorders[0]!.ends).toEqual([expect.objectContaining({ code: "ERR_STALLED" })]);
    for (const index of runner.steps.keys()) runner.settle(index);
    await engine.close();
  });

  it("but not because a mask takes long that the device waits for", async () => {
    const runner = new StubRunner();
    const engine = runner.engine(100);
    const listener = new Recorder();
    const constraint: Constraint = {
      ...{ vocabSize: 32, isAccepting: true, accept: () => true, rollback: () => undefined },
      ...{ forcedTokens: () => [], fillMask: () => true },
      prepare: () => new Promise((resolve) => setTimeout(resolve, 500)),
    };
    const spec = { ...one, constraint };
    engine.add(makeRequest("r0", [1, 2], spec), spec, listener);
    await new Promise((resolve) => setTimeout(resolve, 400)); // four times the limit
    expect(engine.stats.state).toBe("running");
    await until(() => engine.stats.state === "dead"); // the device itself takes longer than it may
    for (const index of runner.steps.keys()) runner.settle(index);
    await engine.close();
    expect(listener.ends).toEqual([expect.objectContaining({ code: "ERR_STALLED" })]);
  });

  it("but not because this thread was busy or the process stopped", async () => {
    const runner = new StubRunner();
    const engine = runner.engine(400);
    const recorders = add(engine, 1);
    for (let i = 0; i < 3; i++) {
      await until(() => runner.steps.length > i);
      // The result waits in the event loop while nothing else runs there.
      setImmediate(() => runner.settle(i));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => engine.stats.running === 0);
    expect(recorders.map(({ ends }) => ends)).toEqual([["length"]]);
    await engine.close();
  });

  it("because the stream is disposed under it", async () => {
    const { engine, stream, generate, close } = await opened();
    const options = { maxTokens: 200, logprobs: 2, promptLogprobs: 1 };
    const streams = [0, 1, 2].map((i) => generate([1, 2, i], options));
    await until(() => engine.stats.generatedTokens > 9);
    const results = Promise.allSettled(streams.map((one) => one.result()));
    await stream.dispose({ drain: false });
    for (const result of await results) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "ERR_CLOSED" } });
    }
    await expect(generate([1], {}).result()).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await close();
  });

  it("because an op fails: the error names it", async () => {
    const { engine, stream, generate, close } = await opened();
    const streams = [0, 1].map((i) => generate([1, 2, i], { maxTokens: 200, logprobs: 2 }));
    await until(() => engine.stats.generatedTokens > 9);
    const table = stream.fromArray("f32", [4, 2], new Float32Array(8));
    embedding(stream, stream.fromArray("i32", [1], Int32Array.of(9)), table);
    const failed = { code: "ERR_EXECUTION", op: "embedding" };
    for (const one of streams) await expect(one.result()).rejects.toMatchObject(failed);
    await expect(generate([1], {}).result()).rejects.toMatchObject(failed);
    expect(engine.stats.state).toBe("dead");
    await close();
  });
});

describe("a request whose output fails", () => {
  it.each(["token", "prompt", "finish"] as const)("at %s ends alone", async (failAt) => {
    const runner = new StubRunner();
    const engine = runner.engine();
    let made = 0;
    const recorders = add(engine, 3, () => new Recorder(made++ === 1 ? failAt : undefined));
    await finish(engine, runner, recorders);
    const planned = expect.objectContaining({ message: "planned" }) as Error;
    expect(recorders.map(({ ends }) => ends)).toEqual([["length"], [planned], ["length"]]);
    expect(engine.stats).toMatchObject({ state: "running", usedPages: 0 });
    engine.checkIntegrity();
    await engine.close();
  });

  it("at an abort does not throw from there", async () => {
    const runner = new StubRunner();
    const engine = runner.engine();
    const [recorder] = add(engine, 1, () => new Recorder("finish"));
    engine.abort("r0");
    expect(recorder!.ends).toMatchObject([{ message: "planned" }]);
    await engine.close();
  });
});

describe("draining", () => {
  it("refuses new requests, waits for the old ones and not longer than asked", async () => {
    const runner = new StubRunner();
    const engine = runner.engine();
    const recorders = add(engine, 2);
    const refused = () => engine.add(makeRequest("x", [1], one), one, new Recorder());
    const drained = engine.drain(60_000);
    expect(refused).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
    await finish(engine, runner, recorders);
    await drained;
    expect(recorders.map(({ ends }) => ends)).toEqual([["length"], ["length"]]);
    expect(engine.stats.state).toBe("draining");
    await engine.close();
    expect(engine.stats.state).toBe("closed");
  });

  it("ends what is left after its time", async () => {
    const runner = new StubRunner();
    const engine = runner.engine();
    const [recorder] = add(engine, 1);
    await engine.drain(5);
    expect(recorder!.ends).toEqual([]);
    const closed = engine.close();
    expect(recorder!.ends).toEqual(["abort"]);
    for (const index of runner.steps.keys()) runner.settle(index);
    await closed;
    expect(engine.stats.usedPages).toBe(0);
    engine.checkIntegrity();
  });
});
