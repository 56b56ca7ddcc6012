// Contract: `run` and `chat`, as a user starts them, write answers to stdout and all else to stderr, and end as they should.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LLM } from "../../lib/index.js";
import { ran, tiny } from "./support.js";

const timeout = 300_000; // of processes that load a model, on a machine that does other things

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "warploop-talk-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("run", () => {
  it(
    "goes on with a text from stdin, and says how fast",
    async () => {
      await using llm = await LLM.load(tiny);
      const { text } = await llm.generate("Once upon a time", { maxTokens: 20 }).result();
      const run = await ran(["run", tiny, "--raw", "--max-tokens", "20"], { input: "Once upon a time\n" });
      expect(run).toEqual({
        status: 0,
        stdout: `${text}\n`,
        stderr: expect.stringMatching(
          /^20 tokens at [\d.]+ tokens\/s; first after [\d.]+ m?s \(4 tokens of prompt, [\d.]+ tokens\/s\); cut off/,
        ) as string,
      });
    },
    timeout,
  );

  it(
    "is one object with --json",
    async () => {
      const options = [
        "--system",
        "You are terse.",
        "--seed",
        "7",
        "--temperature",
        "1",
        "--max-tokens",
        "8",
      ];
      const { status, stdout, stderr } = await ran([
        "run",
        tiny,
        "Tell",
        "me",
        "a story",
        "--json",
        ...options,
      ]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      const answer = JSON.parse(stdout) as { text: string; usage: { promptTokens: number } };
      await using llm = await LLM.load(tiny);
      const messages = [
        { role: "system", content: "You are terse." },
        { role: "user", content: "Tell me a story" },
      ];
      const expected = await llm.chat(messages, { seed: 7, temperature: 1, maxTokens: 8 }).result();
      const { text, finishReason, usage } = expected;
      expect(answer).toMatchObject({ model: tiny, device: llm.stats().device, text, finishReason, usage });
      expect(answer).toHaveProperty("timings.firstTokenMs", expect.any(Number));
    },
    timeout,
  );

  it(
    "has the form that is asked for",
    async () => {
      const hot = ["--temperature", "1.5", "--max-tokens", "300", "-q"];
      const schema = path.join(folder, "schema.json");
      await writeFile(
        schema,
        JSON.stringify({ type: "array", items: { enum: ["a", 1] }, minItems: 1, maxItems: 3 }),
      );
      const choice = await ran(["run", tiny, "Is rain wet?", ...hot, "--choice", "yes", "--choice", "no"]);
      expect(choice).toEqual({
        status: 0,
        stdout: expect.stringMatching(/^(yes|no)\n$/) as string,
        stderr: "",
      });
      const list = await ran(["run", tiny, "A list", "--raw", ...hot, "--schema", schema]);
      expect(JSON.parse(list.stdout)).toSatisfy((items: unknown[]) =>
        items.every((one) => one === "a" || one === 1),
      );
      const grammar = path.join(folder, "grammar.gbnf");
      await writeFile(grammar, 'root ::= "x" ("y" | "z")+ "."');
      const derived = await ran(["run", tiny, "Letters", ...hot, "--grammar", grammar]);
      expect(derived.stdout).toMatch(/^x[yz]+\.\n$/);
      const refused = await ran(["run", tiny, "x", "--regex", "(?=a)"]);
      expect(refused).toMatchObject({ status: 1, stdout: "" });
      expect(refused.stderr).toMatch(/^warploop: [^\n]*regex: looking around[^\n]*\n$/);
    },
    timeout,
  );

  it(
    "ends with status 130 and what it has when it is interrupted",
    async () => {
      const endless = ["run", tiny, "Once upon a time", "--raw", "--ignore-eos"];
      const { status, stdout, stderr } = await ran(endless, {
        onText: (text, child) => text.length > 20 && child.kill("SIGINT"),
      });
      expect(status).toBe(130);
      expect(stdout.length).toBeGreaterThan(20);
      expect(stderr).toMatch(/tokens.*; stopped\n$/);
    },
    timeout,
  );

  it(
    "ends quietly when nobody reads on",
    async () => {
      const endless = ["run", tiny, "Once upon a time", "--raw", "--ignore-eos"];
      const { status, stderr } = await ran(endless, { onText: (_, child) => child.stdout.destroy() });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    },
    timeout,
  );
});

describe("chat", () => {
  it(
    "answers line by line, does what / commands say, and forgets the oldest turns when the context is full",
    async () => {
      const file = path.join(folder, "talk.json");
      const lines = [
        ...["/system You tell stories.", "Please tell me about Tala.", "/stats", "/stast", "/nonsense"],
        ...['"""Two', 'lines"""', `/save ${file}`, "/clear", "/retry", `/load ${file}`, "/load /nowhere"],
        ...["One more \\", "of two lines", "And more", "/stats", "/exit", "never asked"],
      ];
      const options = ["--context", "128", "--max-tokens", "24", "--ignore-eos"];
      const { status, stdout, stderr } = await ran(["chat", tiny, ...options], { input: lines.join("\n") });
      expect(status).toBe(0);
      expect(stdout.split("\n").length).toBeGreaterThanOrEqual(5); // four answers
      const { messages } = JSON.parse(await readFile(file, "utf8")) as { messages: { content: string }[] };
      expect(messages.map(({ content }) => content)).toEqual([
        ...["You tell stories.", "Please tell me about Tala.", expect.any(String)],
        ...["Two\nlines", expect.any(String)],
      ]);
      expect(stdout.startsWith(messages[2]!.content)).toBe(true);
      for (const said of [
        /^the system message is set$/m,
        /^last answer: 24 tokens at /m,
        /^warploop: there is no \/stast: did you mean \/stats\?/m,
        /^warploop: there is no \/nonsense: \/help lists/m,
        /^2 turns written to .*talk\.json$/m,
        /^there is no message yet$/m,
        /^2 turns of .*talk\.json$/m,
        /^warploop: .*no such file.*\/nowhere/m,
        /^the context of 128 tokens is full: the model no longer sees the oldest \d turns?$/m,
        /^talk: 4 turns, of which the model does not see the first \d; \d+ of 128 tokens with the last answer/m,
      ])
        expect(stderr).toMatch(said);
      expect(stderr).not.toContain("never");
    },
    timeout,
  );
});
