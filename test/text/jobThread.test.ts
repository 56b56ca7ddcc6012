// Contract: a job has its result or fails alone, with a reason; whatever it does, the thread can be ended and the next one runs.
import { afterEach, expect, test } from "vitest";
import { JobThread } from "../../lib/text/jobThread.js";

type Job = { readonly kind: "echo" | "throw" | "loop" | "grow" | "exit"; readonly value?: unknown };

const threads: JobThread<Job, unknown>[] = [];
const open = (): JobThread<Job, unknown> => {
  const entry = new URL("./jobThreadWorker.js", import.meta.url);
  const thread = new JobThread<Job, unknown>(entry, { name: "test", heapMiB: 64 });
  threads.push(thread);
  return thread;
};
afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.close()));
});

const limitMs = 5_000;
const echo = (value: unknown): Job => ({ kind: "echo", value });

test("results come in the order of the jobs", async () => {
  const thread = open();
  const results = await Promise.all(
    [1, "two", { three: [3] }].map((value) => thread.run(echo(value), limitMs)),
  );
  expect(results).toEqual([1, "two", { three: [3] }]);
});

test.each<[string, Job, number, string, string]>([
  ["throws", { kind: "throw", value: "no" }, limitMs, "error", "no"],
  ["cannot be copied", echo(() => 1), limitMs, "error", "could not be cloned"],
  ["runs for ever", { kind: "loop" }, 50, "time", "took longer than 50 ms"],
  ["takes too much memory", { kind: "grow" }, 30_000, "memory", "more than 64 MiB"],
  ["ends the thread", { kind: "exit" }, limitMs, "thread", "ended"],
])("a job that %s fails alone", async (_, job, limit, reason, part) => {
  const thread = open();
  const [before, failed, after] = await Promise.allSettled([
    thread.run(echo("before"), limitMs),
    thread.run(job, limit),
    thread.run(echo("after"), limitMs),
  ]);
  expect(before).toMatchObject({ value: "before" });
  expect(failed).toMatchObject({ reason: { name: "JobFailure", reason } });
  expect(String((failed as PromiseRejectedResult).reason)).toContain(part);
  expect(after).toMatchObject({ value: "after" });
});

test("memory of a job is handed over where that is asked for, and copied where not", async () => {
  const thread = open();
  const [moved, copied] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)];
  const results = thread.run(echo([moved, copied]), limitMs, { moved: [moved.buffer] });
  expect(await results).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]);
  expect([moved.length, copied.length]).toEqual([0, 2]);
});

test("the event loop runs while a job does", async () => {
  const thread = open();
  thread.warm();
  await thread.run(echo(0), limitMs);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await expect(thread.run({ kind: "loop" }, 100)).rejects.toMatchObject({ reason: "time" });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
});

test("close ends running and waiting jobs, and later ones are refused", async () => {
  const thread = open();
  await thread.run(echo(0), limitMs);
  const jobs = [thread.run({ kind: "loop" }, 60_000), thread.run(echo(1), limitMs)];
  const settled = Promise.allSettled(jobs);
  await thread.close();
  await thread.close();
  for (const { reason } of (await settled) as PromiseRejectedResult[])
    expect(reason).toMatchObject({ reason: "closed" });
  await expect(thread.run(echo(2), limitMs)).rejects.toMatchObject({ reason: "closed" });
});

test("a thread that cannot start fails its jobs", async () => {
  const thread = new JobThread<Job, unknown>(new URL("./missing.js", import.meta.url), {
    name: "x",
    heapMiB: 64,
  });
  const jobs = await Promise.allSettled([thread.run(echo(1), limitMs), thread.run(echo(2), limitMs)]);
  for (const job of jobs) expect(job).toMatchObject({ status: "rejected", reason: { reason: "thread" } });
  await thread.close();
});
