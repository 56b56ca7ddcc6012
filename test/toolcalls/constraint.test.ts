// Contract: what constraintOf asks of a model is what the parser of its family reads: texts drawn at random from the grammar, of markers
// that are tokens and of such that are not, are whole calls with valid arguments; in free text no call begins that does not obey.
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import {
  constraintOf,
  families,
  OutputParser,
  reasonings,
  type WantedOutput,
} from "../../toolcalls/index.js";
import { markersOf, states, tokenMarkers } from "../../toolcalls/machine.js";
import type { ToolSyntax } from "../../toolcalls/syntax.js";
import { ByteVocabulary, RandomTexts } from "../grammar/randomTexts.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";

const parameters = {
  type: "object",
  properties: {
    city: { type: "string", minLength: 1, maxLength: 6 },
    days: { type: "integer", minimum: 0, maximum: 9 },
    unit: { enum: ["C", "F"] },
    exact: { type: "boolean" },
    note: { anyOf: [{ type: "string", maxLength: 5 }, { type: "null" }] },
    size: {
      anyOf: [
        { type: "string", pattern: "^[0-9a-c]{2}$" },
        { type: "integer", minimum: 100, maximum: 120 },
      ],
    },
    both: { allOf: [{ type: "number" }, { minimum: 0, maximum: 1, multipleOf: 0.1 }] },
    at: {
      type: "object",
      properties: {
        x: { $ref: "#/$defs/grade" },
        tag: { type: "string", maxLength: 40, pattern: "^[a-z</>_]*$" },
      },
      required: ["x", "tag"],
      additionalProperties: false,
    },
  },
  required: ["city", "days", "at", "size"],
  additionalProperties: false,
  $defs: { grade: { type: "array", items: { type: "integer", minimum: 0, maximum: 5 }, maxItems: 2 } },
};
const weather = { type: "function", function: { name: "get_weather", parameters } };
const tools = [weather, { type: "function", function: { name: "get_time" } }];
const validate = new Ajv({ strict: false, multipleOfPrecision: 6 }).compile(parameters);
const wanted: WantedOutput = { tools, toolChoice: "required", parallelToolCalls: true, format: undefined };
const [think] = reasonings;

interface Read {
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly text: string; readonly complete: boolean }[];
}

function read(syntax: ToolSyntax, vocabulary: ByteVocabulary, ids: readonly number[]): Read {
  const parser = new OutputParser({ syntax, reasoning: think, tools, vocabulary, startsInReasoning: false });
  const stream = new TextDecoder();
  const events = ids.flatMap((id) => {
    const text = id < 256 ? stream.decode(Uint8Array.of(id), { stream: true }) : vocabulary.decode([id]);
    return parser.push({ text, tokenIds: [id] });
  });
  events.push(...parser.finish());
  const textOf = (type: string, index?: number) =>
    events
      .flatMap((one) =>
        "text" in one && one.type === type && (!("index" in one) || one.index === index) ? one.text : [],
      )
      .join("");
  const calls = events.flatMap((one) => {
    if (one.type !== "callStart") return [];
    const { name, index } = one;
    const end = events.find((other) => other.type === "callEnd" && other.index === index);
    return [{ name, text: textOf("arguments", index), complete: end?.type === "callEnd" && end.complete }];
  });
  return { content: textOf("content"), reasoning: textOf("reasoning"), calls };
}

function expectValid({ calls }: Read, text: string): void {
  for (const { name, text: json, complete } of calls) {
    expect(complete, text).toBe(true);
    const value: unknown = JSON.parse(json);
    if (name === "get_time") expect(value, text).toEqual({});
    else expect(name === "get_weather" && validate(value), `${text}: ${json}`).toBe(true);
  }
}

/** The vocabulary that the family was trained with, as far as it matters, and one without any of its markers. */
const vocabularies = families.flatMap((syntax) => {
  const markers = tokenMarkers(markersOf(states(syntax, think)), syntax);
  return [
    { name: syntax.name, tokens: "tokens", syntax, vocabulary: new ByteVocabulary(markers) },
    {
      name: syntax.name,
      tokens: "special tokens",
      syntax,
      vocabulary: new ByteVocabulary([], [...markers, "｜DSML｜"]),
    },
    { name: syntax.name, tokens: "spelled", syntax, vocabulary: new ByteVocabulary() },
  ];
});

describe.each(vocabularies)("$name, markers $tokens", ({ syntax, vocabulary }) => {
  const format = { syntax, reasoning: undefined };

  it("calls that have to come are whole and valid", () => {
    using texts = new RandomTexts(constraintOf(format, wanted, vocabulary)!, vocabulary, "over");
    const random = new Random(firstSeed);
    for (let i = 0; i < 4; i++) {
      const ids = texts.draw(random, 20_000);
      const text = vocabulary.decode(ids!);
      const result = read(syntax, vocabulary, ids!);
      expect(result.calls.length, text).toBeGreaterThan(0);
      expect(result.content.trim(), text).toBe("");
      expectValid(result, text);
    }
  });

  it("where the model may choose, what begins a call of a strict tool obeys, and all else is free", () => {
    const strict = { ...weather, function: { ...weather.function, strict: true } };
    const auto: WantedOutput = { ...wanted, tools: [strict, tools[1]!], toolChoice: "auto" };
    using texts = new RandomTexts(constraintOf(format, auto, vocabulary)!, vocabulary, "over");
    using calls = new RandomTexts(
      constraintOf(format, { ...wanted, parallelToolCalls: false }, vocabulary)!,
      vocabulary,
      "over",
    );
    const answer = syntax.answer?.open ?? "";
    const isMarked = syntax.entries.some(({ bare }) => bare === undefined);
    const isBare = syntax.entries.some(({ bare }) => bare === "start");
    for (const text of ["", "Well, <b>&amp;</b> [x] {y}\n"])
      expect(texts.takes(answer + text), text).toBe(true);
    const random = new Random(firstSeed);
    const call = vocabulary.decode(calls.draw(random, 20_000)!);
    expect(texts.takes(call), call).toBe(true);
    expect(texts.takes(call.replace("get_", "put_")), call).toBe(false);
    if (isMarked && !isBare) {
      expect(texts.takes(`Well. ${call}`), call).toBe(true);
      expect(texts.takes(`Well. ${call.slice(0, -1)}`), call).toBe(false);
      expect(texts.takes(`Well. ${syntax.entries[0]!.on} and more`)).toBe(false);
    }
  });
});

describe("constraintOf", () => {
  const hermes = { syntax: families.find(({ name }) => name === "hermes")!, reasoning: think };
  const vocabulary = new ByteVocabulary();
  const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>';
  const takes = (output: Partial<WantedOutput>, state: "before" | "open" | "over", text: string): boolean => {
    using texts = new RandomTexts(
      constraintOf(hermes, { ...wanted, ...output }, vocabulary)!,
      vocabulary,
      state,
    );
    return texts.takes(text);
  };

  it("asks for nothing where nothing was asked", () => {
    expect(constraintOf(hermes, { ...wanted, toolChoice: "auto" }, vocabulary)).toBeUndefined();
    const none = { syntax: undefined, reasoning: undefined };
    const format = { choice: ["a"] };
    expect(constraintOf(none, { ...wanted, tools: [], toolChoice: "auto", format }, vocabulary)).toBe(format);
  });

  it("takes thoughts before what it asks for, as the prompt has begun them", () => {
    expect(takes({}, "before", call)).toBe(true);
    expect(takes({}, "before", `<think>\nhm, <b>\n</think>\n\n${call}`)).toBe(true);
    expect(takes({}, "open", `hm\n</think>\n\n${call}`)).toBe(true);
    expect(takes({}, "open", call)).toBe(false);
    expect(takes({}, "over", call)).toBe(true);
    expect(takes({}, "over", `<think>hm</think>${call}`)).toBe(false);
    expect(takes({}, "open", `<tool_call></think>${call}`)).toBe(false);
  });

  it("takes one call, or the function that is named, or an answer of the form that is asked for beside tools", () => {
    expect(takes({}, "over", `${call}\n${call}`)).toBe(true);
    expect(takes({ parallelToolCalls: false }, "over", `${call}\n${call}`)).toBe(false);
    expect(takes({ toolChoice: { name: "get_time" } }, "over", call)).toBe(true);
    expect(takes({ toolChoice: { name: "get_weather" } }, "over", call)).toBe(false);
    const format = { schema: { type: "boolean" } };
    for (const text of ["true", call, `${call}\n${call}`])
      expect(takes({ toolChoice: "auto", format }, "over", text), text).toBe(true);
    for (const text of ["yes", `true${call}`])
      expect(takes({ toolChoice: "auto", format }, "over", text), text).toBe(false);
  });

  it("takes calls that have to come in place of an answer of a form, which is read all the same", () => {
    expect(takes({ format: { schema: { type: "boolean" } } }, "over", call)).toBe(true);
    expect(takes({ format: { schema: { type: "boolean" } } }, "over", "true")).toBe(false);
    expect(() => takes({ format: { schema: { nope: 1 } } }, "over", call)).toThrow(
      "/nope: this keyword is not supported",
    );
  });

  it("holds a tool with strict: false to an object alone", () => {
    const loose = [{ type: "function", function: { name: "f", parameters, strict: false } }];
    const text = '<tool_call>\n{"name": "f", "arguments": {"a":1}}\n</tool_call>';
    expect(takes({ tools: loose }, "over", text)).toBe(true);
    expect(takes({ tools: loose }, "over", text.replace('{"a":1}', "[]"))).toBe(false);
  });

  it("has an object as arguments, whatever else a schema allows", () => {
    const text = (json: string) => `<tool_call>\n{"name": "f", "arguments": ${json}}\n</tool_call>`;
    const object = {
      type: "object",
      properties: { a: { const: 5 } },
      required: ["a"],
      additionalProperties: false,
    };
    for (const schema of [
      { anyOf: [{ type: "integer" }, object] },
      {
        type: ["object", "null"],
        properties: object.properties,
        required: ["a"],
        additionalProperties: false,
      },
      { $ref: "#/$defs/a", $defs: { a: { anyOf: [{ type: "integer" }, object] } } },
      { enum: ["a", { a: 5 }] },
      { allOf: [{ type: ["object", "string"] }, object] },
    ]) {
      const output = { tools: [{ type: "function", function: { name: "f", parameters: schema } }] };
      expect(takes(output, "over", text('{"a":5}')), JSON.stringify(schema)).toBe(true);
      for (const other of ["5", "null", '"a"', "{}"])
        expect(takes(output, "over", text(other)), `${JSON.stringify(schema)} ${other}`).toBe(false);
    }
  });

  it.each<[string, Partial<WantedOutput>, string | RegExp]>([
    ["hermes", { tools: [] }, "toolChoice: expected tools to choose from"],
    [
      "hermes",
      { toolChoice: { name: "f" } },
      'toolChoice: expected one of get_weather, get_time, got {"name":"f"}',
    ],
    [
      "pythonic",
      { tools: [{ function: { name: "a-b" } }] },
      /^tools\[0\]\.function\.name: .* \(pythonic\) .* "a-b"$/,
    ],
    [
      "hermes",
      { tools: [{ function: { name: "f", parameters: { properties: { a: { nope: {} } } } } }] },
      "tools[0].function.parameters: /properties/a/nope: this keyword is not supported",
    ],
    [
      "qwen3_coder",
      { tools: [{ name: "f", parameters: { properties: { a: { type: "string", nope: {} } } } }] },
      "tools[0].parameters: /properties/a/nope: this keyword is not supported",
    ],
    [
      "glm45",
      { tools: [{ name: "f", parameters: { properties: { "a>": {} } } }] },
      "tools[0].parameters: /properties/a>: this name cannot be written",
    ],
    [
      "pythonic",
      { tools: [{ name: "f", parameters: { anyOf: [{ type: "object" }, { type: "object" }] } }] },
      /^tools\[0\]\.parameters: expected one object: alternatives/,
    ],
    [
      "hermes",
      { tools: [{ name: "f", parameters: { type: "integer" } }] },
      /^tools\[0\]\.parameters: \/type: /,
    ],
    [
      "hermes",
      { tools: [{ name: "f", parameters: { type: ["null"] } }] },
      /^tools\[0\]\.parameters: \/type: /,
    ],
    ["hermes", { tools: [{ name: "f", parameters: { enum: ["a"] } }] }, /^tools\[0\]\.parameters: \/enum: /],
    [
      "hermes",
      { tools: [{ name: "f", parameters: { anyOf: [{ const: 1 }] } }] },
      /^tools\[0\]\.parameters: /,
    ],
    ["qwen3_coder", { tools: [{ name: "f", parameters: { type: "integer" } }] }, /^tools\[0\]\.parameters: /],
    ["hermes", { tools: [{ name: " " }] }, /^tools\[0\]\.name: .* " "$/],
    ["llama3_json", { tools: [{ name: "f " }] }, /^tools\[0\]\.name: .* "f "$/],
    ["qwen3_coder", { tools: [{ name: "n".repeat(513) }] }, /^tools\[0\]\.name: /],
    ...["qwen3_coder", "glm45", "deepseek_v32"].flatMap((family) =>
      [" a", "a ", "k".repeat(513)].map((key): [string, Partial<WantedOutput>, RegExp] => [
        family,
        { tools: [{ name: "f", parameters: { properties: { [key]: {} } } }] },
        /^tools\[0\]\.parameters: \/properties\/.*: this name cannot be written$/,
      ]),
    ),
  ])("%s refuses %o", (name, output, message) => {
    const format = { syntax: families.find((one) => one.name === name)!, reasoning: undefined };
    const make = () =>
      new RandomTexts(constraintOf(format, { ...wanted, ...output }, vocabulary)!, vocabulary)[
        Symbol.dispose
      ]();
    expect(make).toThrow(message);
  });
});
