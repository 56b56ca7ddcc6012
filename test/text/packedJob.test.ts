// Contract: a job that was packed and unpacked is the same, whatever its messages hold; it is packed in steps of bounded work.
import { expect, test } from "vitest";
import { runNow } from "../../lib/eventLoop.js";
import { packJob, unpackJob } from "../../lib/text/packedJob.js";
import type { RenderJob } from "../../lib/text/renderJob.js";

const jobOf = (messages: unknown[]): RenderJob => ({
  source: "{{ messages }}",
  variables: { messages, tools: null, name: "x" },
  given: ["name"],
  controlTexts: ["<|end|>"],
});
const message = (i: number, content: unknown) => ({ role: "user", content, number: i });
const parts = (count: number) => Array.from({ length: count }, (_, i) => ({ type: "text", text: `${i}` }));
const many = (count: number, content: (i: number) => unknown) =>
  Array.from({ length: count }, (_, i) => message(i, content(i)));

const chats: Readonly<Record<string, unknown[]>> = {
  none: [],
  one: [message(0, "x")],
  "a slice and one": many(65, String),
  "many, with parts in each": many(1_000, () => parts(3)),
  "one with many parts": [message(0, parts(1_000))],
  "many parts between short messages": many(130, (i) => (i % 50 === 49 ? parts(129) : i)),
  "contents of all kinds": [message(0, null), message(1, undefined), message(2, []), message(3, parts(64))],
};

test.each(Object.entries(chats))("%s", (_, messages) => {
  const job = jobOf(messages);
  const seen: number[] = [];
  const bytes = runNow(packJob(job, (_, i) => void seen.push(i)));
  expect(unpackJob(bytes)).toEqual(job);
  expect(seen).toEqual(messages.map((_, i) => i));
});

test("values that messages share are shared, also across slices", () => {
  const tool = { name: "find" };
  const job = jobOf(Array.from({ length: 100 }, () => ({ role: "user", content: "", tool })));
  const { messages } = unpackJob(runNow(packJob(job, () => undefined))).variables as {
    messages: { tool: object }[];
  };
  expect(messages[99]!.tool).toBe(messages[0]!.tool);
});

test.each(["many, with parts in each", "one with many parts"])("%s: takes many steps", (name) => {
  let numSteps = 0;
  for (const _ of packJob(jobOf(chats[name]!), () => undefined)) numSteps++;
  expect(numSteps).toBeGreaterThanOrEqual(1_000 / 64);
});
