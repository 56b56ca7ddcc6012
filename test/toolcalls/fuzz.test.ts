// Contract: whatever a model writes, events have their order, do not depend on how the output is cut, a call that is complete has JSON
// for arguments, and time grows with length alone.
import { describe, expect, test } from "vitest";
import { families } from "../../toolcalls/families.js";
import { markersOf, states } from "../../toolcalls/machine.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";
import { samples } from "./outputs.js";
import { parse, parserFor, withoutIds } from "./parse.js";

const fragments = [
  ...new Set(families.flatMap((syntax) => markersOf(states(syntax, undefined)))),
  ...[
    '{"name": "now", "arguments": {}}',
    "now",
    "search",
    "(",
    ")",
    "{",
    "}",
    '"',
    "'",
    "\\",
    "\n",
    ",",
    "=",
    "é😀",
  ],
  ...["query", "None", "12", "<think>", "</think>", "[THINK]", " to=functions.now"],
];

/** A sample with some spans left out, written twice or moved, and with fragments in it. */
function mutate(text: string, random: Random): string {
  let result = text;
  for (let i = random.integer(1, 5); i > 0; i--) {
    const from = random.integer(0, result.length + 1);
    const to = Math.min(result.length, from + random.integer(0, 20));
    const kind = random.integer(0, 4);
    const span = result.slice(from, to);
    const fragment = fragments[random.integer(0, fragments.length)]!;
    if (kind === 0) result = result.slice(0, from) + result.slice(to);
    else if (kind === 1) result = result.slice(0, to) + span + result.slice(to);
    else if (kind === 2) result = result.slice(0, from) + fragment + result.slice(from);
    else result = result.slice(0, from) + fragment + result.slice(to);
  }
  return result;
}

function cut(text: string, random: Random): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const length = random.integer(1, random.integer(0, 2) === 0 ? 4 : 40);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

describe("mutated outputs", () => {
  test.each(families.map(({ name }) => name))("%s", (family) => {
    const own = samples.filter((sample) => sample.family === family);
    for (let run = 0; run < runsOf({ few: 150, whole: 20_000 }); run++) {
      const seed = firstSeed + run;
      const random = new Random(seed);
      const sample = own[random.integer(0, own.length)]!;
      const text = mutate(sample.text, random);
      const whole = parse(parserFor(sample), [{ text }]);
      const pieces = cut(text, random).map((piece) => ({ text: piece }));
      const inPieces = parse(parserFor(sample), pieces);
      if (JSON.stringify(withoutIds(inPieces)) !== JSON.stringify(withoutIds(whole)))
        expect({ seed, text, pieces, ...withoutIds(inPieces) }).toEqual({
          seed,
          text,
          pieces,
          ...withoutIds(whole),
        });
      for (const call of whole.calls) {
        expect(call.complete).toBeTypeOf("boolean");
        if (call.complete) expect(JSON.parse(call.arguments)).toBeTypeOf("object");
      }
    }
  });
});

describe("long and nested outputs are read in one go", () => {
  const times = 5_000;
  const inHermes = '<tool_call>{"name": "search", "arguments": ';
  const inCoder = "<tool_call>\n<function=search>\n<parameter=";
  test.each([
    ["hermes", "<tool_call>".repeat(times)],
    ["hermes", `${inHermes}${'{"a":'.repeat(times)}`],
    ["hermes", `${inHermes}{"a": "${'\\\\\\"'.repeat(times)}`],
    ["hermes", '<tool_call>{"name": "now", "arguments": {}}</tool_call>'.repeat(times / 10)],
    ["qwen3_coder", `${inCoder}query>\n${"\n</parameter".repeat(times)}`],
    ["qwen3_coder", `${inCoder}tags>\n${"[".repeat(times)}`],
    ["qwen3_coder", `${inCoder}query>\n${"</tool_call".repeat(times)}`],
    ["glm45", "<tool_call>now<arg_key>".repeat(times)],
    ["glm45", `<tool_call>search<arg_key>filter</arg_key><arg_value>${"{".repeat(times)}`],
    ["llama3_json", `{"name": ${"[".repeat(times)}`],
    ["llama3_json", '{"name": "now", "parameters": {}};'.repeat(times / 10)],
    ["pythonic", `[search(query=${"[".repeat(times)}`],
    ["pythonic", `[search(query='${"\\".repeat(times)}`],
    ["mistral", "[TOOL_CALLS][".repeat(times)],
    ["mistral", `[TOOL_CALLS]${"[ARGS".repeat(times)}`],
    ["deepseek_v3", "<｜tool▁calls▁begin｜>".repeat(times)],
    ["deepseek_v32", `<｜DSML｜invoke name="now">${"<｜DSML｜".repeat(times)}`],
    ["openai", "<|channel|>analysis<|message|>a".repeat(times / 10)],
    ["openai", "<|start|>".repeat(times)],
    ["kimi_k2", "<|tool_call_begin|>".repeat(times)],
  ])("%s %#", (family, text) => {
    const joined = parse(parserFor({ family, reasoningMarkers: "think" }), [{ text }]);
    const bySteps = Array.from({ length: Math.ceil(text.length / 3) }, (_, i) =>
      text.slice(3 * i, 3 * i + 3),
    );
    const other = parse(
      parserFor({ family, reasoningMarkers: "think" }),
      bySteps.map((piece) => ({ text: piece })),
    );
    expect(JSON.stringify(withoutIds(other)) === JSON.stringify(withoutIds(joined))).toBe(true);
  });
});
