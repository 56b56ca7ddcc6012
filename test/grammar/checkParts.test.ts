/** Contract: what is no format is refused before anything is made of it, and the error names its place: nothing is ignored or guessed. */
import { expect, it } from "vitest";
import { checkFormat } from "../../lib/grammar/format.js";

const tag = { begin: "<n", content: "x", end: ">" };
const cyclic: { sequence: unknown[] } = { sequence: [] };
cyclic.sequence.push(cyclic);

function insideItself(): object {
  const schema: Record<string, unknown> = {};
  return Object.assign(schema, { not: schema });
}

it.each<[parts: unknown, message: string | RegExp]>([
  [undefined, /^format\.parts: expected a part of a text/],
  [{}, /^format\.parts: expected a part of a text: .*, got an object$/],
  [{ schema: {}, whitespace: 101 }, "format.parts.whitespace: expected an integer from 0 to 100, got 101"],
  [{ regex: "a", flags: "i" }, /^format\.parts: unknown option "flags"/],
  [{ schema: {}, regex: "a" }, /^format\.parts: unknown option "regex"/],
  [{ regex: 5 }, "format.parts.regex: expected a string, got number 5"],
  [{ grammar: 5 }, "format.parts.grammar: expected a string, got number 5"],
  [{ schema: 5 }, "format.parts.schema: expected an object or a boolean, got number 5"],
  [{ choice: "abc" }, /^format\.parts\.choice: expected texts, at least one/],
  [{ choice: [] }, /^format\.parts\.choice: expected texts, at least one/],
  [{ choice: ["a", 1] }, "format.parts.choice[1]: expected a string, got number 1"],
  [{ choice: ["a", ""] }, 'format.parts.choice[1]: expected a text that is not empty, got ""'],
  [{ choice: ["\ud800"] }, /^format\.parts\.choice\[0\]: expected well-formed Unicode/],
  ["a\udc00", /^format\.parts: expected well-formed Unicode/],
  [{ sequence: "abc" }, 'format.parts.sequence: expected a list of parts, at least 0, got "abc"'],
  [
    { sequence: ["a", { either: [] }] },
    /^format\.parts\.sequence\[1\]\.either: expected a list of parts, at least 1/,
  ],
  [{ repeat: "a", min: 3, max: 1 }, "format.parts.min: expected no more than max (1), got 3"],
  [{ repeat: "a", min: -1 }, /^format\.parts\.min: expected an integer from 0 to 2147483646, got -1$/],
  [{ repeat: "a", min: "0" }, 'format.parts.min: expected a number, got "0"'],
  [{ repeat: "a", max: 1.5 }, /^format\.parts\.max: expected an integer/],
  [{ free: "ab" }, 'format.parts.free: expected a list of texts, got "ab"'],
  [{ free: [""] }, /^format\.parts\.free\[0\]: expected a text that is not empty/],
  [{ triggers: ["<"] }, "format.parts.tags: expected a list of tags, at least one, got undefined"],
  [{ triggers: "<", tags: [tag] }, /^format\.parts\.triggers: expected a list of texts/],
  [
    { triggers: ["<"], tags: [tag, { ...tag, begin: undefined }] },
    /^format\.parts\.tags\[1\]\.begin: expected a string/,
  ],
  [
    { triggers: ["<"], tags: [{ ...tag, content: { rule: "x" } }] },
    /^format\.parts\.tags\[0\]\.content\.rule/,
  ],
  [{ triggers: ["<"], tags: [{ ...tag, end: 1 }] }, /^format\.parts\.tags\[0\]\.end: expected a string/],
  [
    { triggers: ["<"], tags: [tag], atleastOne: true },
    /unknown option "atleastOne"; did you mean "atLeastOne"/,
  ],
  [
    { triggers: ["<"], tags: [tag], atLeastOne: 1 },
    "format.parts.atLeastOne: expected a boolean, got number 1",
  ],
  [{ members: {}, around: ["a", "b"], values: "raw" }, /^format\.parts\.around: expected three texts/],
  [
    { members: {}, around: ["a", "b", "c"] },
    /^format\.parts\.values: expected "raw" or "python", got undefined$/,
  ],
  [
    { members: {}, around: ["a", "b", "c"], values: "raw", names: "(" },
    /^format\.parts\.names: .*regular expression/,
  ],
  [cyclic, /expected at most 500 parts within each other/],
])("parts of %o", (parts, message) => {
  expect(() => checkFormat({ parts })).toThrow(message);
  expect(() => checkFormat({ parts })).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^ERR_/) as string }),
  );
});

it.each<[format: unknown, message: string | RegExp]>([
  [{ tags: { tags: [tag] } }, /^format\.tags: expected an object with triggers and tags/],
  [{ choice: [1] }, "format.choice[0]: expected a string, got number 1"],
  [{ choice: ["\ud800"] }, /^format\.choice\[0\]: expected well-formed Unicode/],
  [{ parts: "a", rules: { x: { free: 1 } } }, /^format\.rules\.x\.free: expected a list of texts/],
  [{ parts: "a", spelled: "x" }, /^format\.spelled: expected a list of texts/],
  [
    { parts: "a", thoughts: { open: "a", close: "b", never: "yz" } },
    /^format\.thoughts\.never: expected a list/,
  ],
  [
    { parts: "a", thoughts: { open: "a", close: "b", inPrompt: 1 } },
    /^format\.thoughts\.inPrompt: expected a boolean/,
  ],
  [
    { schema: JSON.parse('{"const":1e999}') as object },
    "format.schema: /const: expected a finite number, got Infinity",
  ],
  [{ schema: { enum: [1, NaN] } }, "format.schema: /enum/1: expected a finite number, got NaN"],
  [{ schema: { const: undefined } }, "format.schema: /const: expected what JSON can hold, got undefined"],
  [
    { schema: { properties: { "a/b": { const: () => 1 } } } },
    /^format\.schema: \/properties\/a~1b\/const: .* a function$/,
  ],
  [{ schema: { const: 1n } }, /^format\.schema: \/const: expected what JSON can hold, got bigint 1$/],
  [
    { schema: { const: new Map() } },
    /^format\.schema: \/const: expected what JSON can hold, got an object of class Map$/,
  ],
  [{ parts: { schema: { const: undefined }, name: "a.b" } }, /^a\.b: \/const: expected what JSON can hold/],
  [{ schema: { const: { toJSON: () => 1 } } }, /^format\.schema: \/const: expected what JSON can hold/],
  [{ schema: insideItself() }, /^format\.schema: expected plain data: it is nested too deeply, or contains/],
  [{ schema: { enum: Array(1.2e6).fill(1) } }, "format.schema: expected at most 1048576 values"],
  [
    { schema: { const: "x".repeat(2 ** 20) } },
    /^format\.schema: expected at most 1048576 characters as JSON/,
  ],
])("%o", (format, message) => {
  expect(() => checkFormat(format)).toThrow(message);
});

it("what may be left out may be undefined", () => {
  const parts = {
    sequence: [
      { schema: {}, whitespace: undefined, name: undefined },
      { repeat: "a", max: undefined },
    ],
  };
  expect(checkFormat({ parts, rules: undefined, thoughts: undefined })).toBe(
    '{"parts":{"sequence":[{"schema":{}},{"repeat":"a"}]}}',
  );
  expect(checkFormat({ schema: {}, whitespace: 0 })).toBe(checkFormat({ schema: {} }));
});
