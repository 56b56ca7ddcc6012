/** Rows of DeepSeek: V3 and V3.1 with tokens of their own (full-width bars, U+2581 for spaces), V3.2 and V4 with tags. */
import { blank, collect, gap, reads, type ToolSyntax, value } from "./syntax.js";
import { argumentNames, json, name } from "./written.js";

const ends = [
  { on: "<｜tool▁call▁end｜>", to: "section", closes: true },
  { on: "<｜tool▁calls▁end｜>", to: "start" },
] as const;
const section = blank([
  { on: "<｜tool▁call▁begin｜>", to: "call" },
  { on: "<｜tool▁calls▁end｜>", to: "start" },
]);
const entries = [
  { on: "<｜tool▁calls▁begin｜>", to: "section" },
  { on: "<｜tool▁call▁begin｜>", to: "call" },
] as const;

const whole = { open: "<｜tool▁calls▁begin｜>", close: "<｜tool▁calls▁end｜>" };

/** DeepSeek V3-0324, R1-0528: a type, the name and fenced JSON. */
export const deepseekV3: ToolSyntax = {
  name: "deepseek_v3",
  aliases: ["deepseek_r1"],
  entries,
  states: {
    section,
    call: collect([{ on: "<｜tool▁sep｜>", to: "name" }]),
    name: collect([{ on: "\n", to: "fence", do: ["start"] }]),
    fence: gap([
      { on: "```json", to: "arguments" },
      { on: "{", to: "arguments", keep: true },
      { on: "<｜tool▁call▁end｜>", to: "section", do: ["end"] },
    ]),
    arguments: reads("json", "after"),
    after: blank([{ on: "```", to: "after", closes: true }, ...ends], "content"),
  },
  writes: [
    {
      ...whole,
      call: [
        ...["<｜tool▁call▁begin｜>function<｜tool▁sep｜>", name, "\n```json\n"],
        ...[json, "\n```<｜tool▁call▁end｜>"],
      ],
      between: "\n",
    },
  ],
  ids: "openai",
  hint: /<｜tool▁sep｜>[^\n]*\n```json/,
};

/** DeepSeek V3.1: the name and JSON. */
export const deepseekV31: ToolSyntax = {
  name: "deepseek_v31",
  aliases: [],
  entries,
  states: {
    section,
    call: collect([{ on: "<｜tool▁sep｜>", to: "arguments", do: ["start"] }]),
    arguments: reads("json", "after"),
    after: blank(ends, "content"),
  },
  writes: [
    { ...whole, call: ["<｜tool▁call▁begin｜>", name, "<｜tool▁sep｜>", json, "<｜tool▁call▁end｜>"] },
  ],
  ids: "openai",
  hint: /<｜tool▁sep｜>/,
};

/** DeepSeek V3.2 and V4, which differ in the name of the outer tag. */
export const deepseekV32: ToolSyntax = {
  name: "deepseek_v32",
  aliases: ["deepseek_v4", "dsml"],
  entries: [
    { on: "<｜DSML｜function_calls>", to: "section" },
    { on: "<｜DSML｜tool_calls>", to: "section" },
    { on: '<｜DSML｜invoke name="', to: "name" },
  ],
  states: {
    section: blank([
      { on: '<｜DSML｜invoke name="', to: "name" },
      { on: "</｜DSML｜function_calls>", to: "start" },
      { on: "</｜DSML｜tool_calls>", to: "start" },
    ]),
    name: collect([{ on: '">', to: "between", do: ["start"] }]),
    between: gap([
      { on: '<｜DSML｜parameter name="', to: "key" },
      { on: "</｜DSML｜invoke>", to: "section", do: ["end"] },
      { on: "</｜DSML｜function_calls>", to: "start", do: ["end"] },
      { on: "</｜DSML｜tool_calls>", to: "start", do: ["end"] },
    ]),
    key: collect(
      [
        { on: '" string="', to: "flag", do: ["key"] },
        { on: '">', to: "value", do: ["key"] },
      ],
      /^[^"<>\n]*$/,
    ),
    flag: collect([{ on: '">', to: "value", do: ["flag"] }]),
    value: value([{ on: "</｜DSML｜parameter>", to: "between", do: ["value"] }]),
  },
  writes: [
    {
      open: "<｜DSML｜function_calls>\n",
      call: [
        ...['<｜DSML｜invoke name="', name, '">\n'],
        {
          slot: "members",
          around: ['<｜DSML｜parameter name="', "", "</｜DSML｜parameter>\n"],
          flagged: ['" string="true">', '" string="false">'],
          ...{ values: "raw", names: argumentNames('"<>\\n'), never: ["</｜DSML｜parameter>"] },
        },
        "</｜DSML｜invoke>\n",
      ],
      close: "</｜DSML｜function_calls>",
    },
  ],
  ids: "openai",
  values: { trimsLineBreaks: false, untyped: "json" },
  hint: /<｜DSML｜/,
};
