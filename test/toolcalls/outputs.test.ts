// Contract: what each family writes is read as thoughts, answer and calls, however it is cut into pieces, and nothing of an output
// that ends in the middle is lost.
import { describe, expect, test } from "vitest";
import { families } from "../../toolcalls/families.js";
import { samples } from "./outputs.js";
import type { Sample } from "./sample.js";
import { type Joined, parse, parserFor, withoutIds } from "./parse.js";
import { lostWords } from "./words.js";

const cases = samples.map((sample) => [`${sample.family}: ${sample.title}`, sample] as const);

const read = (sample: Sample, pieces: readonly string[]): Joined =>
  parse(
    parserFor(sample),
    pieces.map((text) => ({ text })),
  );

/** Outputs up to this length are cut at every two places. */
const maxPairLength = 85;

describe("samples", () => {
  test("each family has some", () => {
    expect([...new Set(samples.map(({ family }) => family))].sort()).toEqual(
      families.map(({ name }) => name).sort(),
    );
  });

  test.each(cases)("%s", (_, sample) => {
    const { reasoning, content, calls } = read(sample, [sample.text]);
    const parsed = calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) as unknown }));
    expect({ reasoning, content, calls: parsed }).toEqual({
      reasoning: sample.reasoning ?? "",
      content: sample.content ?? "",
      calls: (sample.calls ?? []).map(({ id, ...call }) => {
        const expected: unknown =
          id instanceof RegExp ? expect.stringMatching(id) : (id ?? expect.any(String));
        return { ...call, id: expected, complete: true };
      }),
    });
    expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length);
  });

  test.each(cases)("cut anywhere: %s", (_, sample) => {
    const { text } = sample;
    const whole = JSON.stringify(withoutIds(read(sample, [text])));
    const same = (...pieces: string[]): void => {
      const cut = JSON.stringify(withoutIds(read(sample, pieces)));
      if (cut !== whole) expect({ pieces, cut }).toEqual({ pieces, cut: whole });
    };
    for (let i = 1; i < text.length; i++) same(text.slice(0, i), text.slice(i));
    same(...text.split(""));
    if (text.length > maxPairLength) return;
    for (let i = 1; i < text.length; i++)
      for (let j = i + 1; j < text.length; j++) same(text.slice(0, i), text.slice(i, j), text.slice(j));
  });

  test.each(cases)("ended anywhere, nothing is lost: %s", (_, sample) => {
    const { text } = sample;
    const whole = read(sample, [text]);
    for (let end = 0; end < text.length; end++) {
      const part = text.slice(0, end);
      const joined = read(sample, [part]);
      const lost = lostWords(part, joined);
      if (lost.length > 0) expect({ part, lost, joined }).toEqual({ part, lost: [], joined });
      for (const [i, call] of joined.calls.entries()) {
        const other = whole.calls[i];
        if (call.complete && other) expect([part, call.arguments]).toEqual([part, other.arguments]);
      }
    }
  });
});

describe("long values", () => {
  const long = 'word <b> & "quoted" \\ é\n'.repeat(200);
  const writeFile = (before: string, after: string): readonly [string, string, string] => [
    before,
    long,
    after,
  ];
  test.each([
    [
      "qwen3_coder",
      ...writeFile(
        "<tool_call>\n<function=write_file>\n<parameter=text>\n",
        "\n</parameter>\n</function>\n</tool_call>",
      ),
    ],
    [
      "glm45",
      ...writeFile(
        "<tool_call>write_file\n<arg_key>text</arg_key>\n<arg_value>",
        "</arg_value>\n</tool_call>",
      ),
    ],
    [
      "deepseek_v32",
      ...writeFile(
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="write_file">\n<｜DSML｜parameter name="text" string="true">',
        "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
      ),
    ],
  ])("%s: are handed out as they come", (family, before, value, after) => {
    const parser = parserFor({ family });
    parser.push({ text: before });
    let sent = 0;
    let received = 0;
    for (let at = 0; at < value.length; at += 7) {
      const piece = value.slice(at, at + 7);
      sent += piece.length;
      for (const event of parser.push({ text: piece }))
        if (event.type === "arguments") received += event.text.length;
      expect(received).toBeGreaterThanOrEqual(sent - 30);
    }
    const joined = parse(parserFor({ family }), [{ text: before + value + after }]);
    expect(JSON.parse(joined.calls[0]!.arguments)).toEqual({ text: long });
  });
});

describe("without tools", () => {
  test.each(cases.filter(([, { family }]) => family !== "openai"))("nothing is a call: %s", (_, sample) => {
    const { text, reasoningMarkers, startsInReasoning } = sample;
    const parser = parserFor({ ...sample }, undefined, []);
    const joined = parse(parser, [{ text }]);
    expect(joined.calls).toEqual([]);
    if (reasoningMarkers === undefined && !startsInReasoning) expect(joined.content).toBe(text);
  });
});

test("an incomplete call says so", () => {
  const cut = (family: string, text: string): object => parse(parserFor({ family }), [{ text }]).calls[0]!;
  expect(cut("hermes", '<tool_call>{"name": "search", "arguments": {"query": "a')).toMatchObject({
    arguments: '{"query": "a',
    complete: false,
  });
  expect(cut("qwen3_coder", "<tool_call>\n<function=search>\n<parameter=query>\na")).toMatchObject({
    arguments: '{"query":"a',
    complete: false,
  });
});

test("of two markers at the same place the longer one counts, also where it is cut", () => {
  const text = "[THINK]a[/THINK][now()]";
  const whole = { family: "pythonic", reasoningMarkers: "mistral" } as const;
  for (let i = 0; i <= text.length; i++) {
    const joined = parse(parserFor(whole), [{ text: text.slice(0, i) }, { text: text.slice(i) }]);
    expect(withoutIds(joined)).toEqual({
      reasoning: "a",
      content: "",
      calls: [{ name: "now", arguments: "{}", complete: true }],
    });
  }
});

test("half characters stay whole", () => {
  const parser = parserFor({ family: "qwen3_coder" });
  const text =
    "<tool_call>\n<function=write_file>\n<parameter=text>\n😀\n</parameter>\n</function>\n</tool_call>😀";
  for (const unit of text.split("")) {
    for (const event of parser.push({ text: unit })) {
      if ("text" in event) expect(event.text).not.toMatch(/[\ud800-\udbff]$/);
    }
  }
  expect(parser.finish()).toEqual([]);
});
