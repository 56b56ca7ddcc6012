/**
 * The families of tool syntax, one row each: the markers as the models were trained on them. Sources: the chat templates of the
 * models named beside a row; names as those of vLLM's parsers (docs.vllm.ai, Tool Calling), which people know.
 */
import { deepseekV3, deepseekV31, deepseekV32 } from "./deepseek.js";
import { harmony } from "./harmony.js";
import { olmo3, pythonic } from "./pythonCalls.js";
import { blank, collect, gap, reads, type ReasoningSyntax, type ToolSyntax, value } from "./syntax.js";
import { argumentNames, json, name, quotedName } from "./written.js";

/** Hermes 2 and 3, Qwen2.5, Qwen3: a JSON object in a pair of tags. */
const hermes: ToolSyntax = {
  name: "hermes",
  aliases: ["qwen", "qwen25", "qwen3"],
  entries: [{ on: "<tool_call>", to: "call" }],
  states: {
    call: reads("envelope", "after", [{ on: "</tool_call>", to: "start", tokenOnly: true, do: ["end"] }]),
    after: blank(
      [
        { on: "</tool_call>", to: "start" },
        { on: "<tool_call>", to: "call" },
        { on: "{", to: "call", keep: true },
      ],
      "content",
    ),
  },
  writes: [
    {
      call: ['<tool_call>\n{"name": ', quotedName, ', "arguments": ', json, "}\n</tool_call>"],
      between: "\n",
    },
  ],
  ids: "openai",
  hint: /<tool_call>\s*\{"name":/,
};

/** Qwen3-Coder, Qwen3.5, MiMo: a tag per argument, with raw text. The opening tag, and closing tags, are sometimes missing. */
const qwen3Coder: ToolSyntax = {
  name: "qwen3_coder",
  aliases: ["qwen3_xml", "mimo"],
  entries: [
    { on: "<tool_call>", to: "open" },
    { on: "<function=", to: "name", bare: "anywhere" },
  ],
  states: {
    open: blank([{ on: "<function=", to: "name" }]),
    name: collect([{ on: ">", to: "between", do: ["start"] }]),
    between: gap([
      { on: "<parameter=", to: "key" },
      { on: "</function>", to: "closed", do: ["end"] },
      { on: "</tool_call>", to: "start", do: ["end"] },
    ]),
    key: collect([{ on: ">", to: "value", do: ["key"] }], /^[^<>\n]*$/),
    value: value([
      { on: "</parameter>", to: "between", do: ["value"] },
      { on: "\n<parameter=", to: "key", do: ["value"] },
      { on: "\n</function>", to: "closed", do: ["value", "end"] },
      { on: "</tool_call>", to: "start", do: ["value", "end"], tokenOnly: true },
    ]),
    closed: blank(
      [
        { on: "</tool_call>", to: "start" },
        { on: "<tool_call>", to: "open" },
        { on: "<function=", to: "name" },
      ],
      "content",
    ),
  },
  writes: [
    {
      call: [
        ...["<tool_call>\n<function=", name, ">\n"],
        {
          slot: "members",
          ...{
            around: ["<parameter=", ">\n", "\n</parameter>\n"],
            values: "raw",
            names: argumentNames("<>\\n"),
          },
          never: ["</parameter>", "\n<parameter=", "\n</function>"],
        },
        "</function>\n</tool_call>",
      ],
      between: "\n",
    },
  ],
  ids: "openai",
  values: { trimsLineBreaks: true, untyped: "string" },
  hint: /<tool_call>\s*<function=/,
  spelled: ["</parameter>", "</function>"],
};

/** GLM-4.5, 4.6 (a line break behind the name) and 4.7 (none). */
const glm45: ToolSyntax = {
  name: "glm45",
  aliases: ["glm46", "glm47"],
  entries: [{ on: "<tool_call>", to: "open" }],
  states: {
    open: blank([], "name"),
    name: collect([
      { on: "\n", to: "between", do: ["start"] },
      { on: "<arg_key>", to: "key", do: ["start"] },
      { on: "</tool_call>", to: "start", do: ["start", "end"] },
    ]),
    between: gap([
      { on: "<arg_key>", to: "key" },
      { on: "</tool_call>", to: "start", do: ["end"] },
    ]),
    key: collect([{ on: "</arg_key>", to: "keyed", do: ["key"] }], /^[^<>\n]*$/),
    keyed: gap([
      { on: "<arg_value>", to: "value" },
      { on: "</tool_call>", to: "start", do: ["end"] },
    ]),
    value: value([
      { on: "</arg_value>", to: "between", do: ["value"] },
      { on: "</tool_call>", to: "start", do: ["value", "end"], tokenOnly: true },
    ]),
  },
  writes: [
    {
      call: [
        ...["<tool_call>", name, "\n"],
        {
          slot: "members",
          around: ["<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"],
          ...{ values: "raw", names: argumentNames("<>\\n"), never: ["</arg_value>"] },
        },
        "</tool_call>",
      ],
      between: "\n",
    },
  ],
  ids: "openai",
  values: { trimsLineBreaks: false, untyped: "json" },
  hint: /<tool_call>[^<]*\s*<arg_key>/,
};

/** Llama 3.1 to 3.3, and 4 with JSON: no marker but the brace itself. */
const llama3Json: ToolSyntax = {
  name: "llama3_json",
  aliases: ["llama4_json"],
  entries: [
    { on: "<|python_tag|>", to: "tagged" },
    { on: "{", to: "call", keep: true, bare: "start" },
  ],
  states: {
    tagged: blank([{ on: "{", to: "call", keep: true }]),
    call: reads("envelope", "after"),
    after: blank([{ on: ";", to: "next" }], "content"),
    next: blank([
      { on: "{", to: "call", keep: true },
      { on: "<|python_tag|>", to: "tagged" },
    ]),
  },
  writes: [{ call: ['{"name": ', quotedName, ', "parameters": ', json, "}"], most: 1 }],
  ids: "openai",
  hint: /\{"name": function name, "parameters":/,
};

/** Mistral: a list of objects (tokenizers before v11), or name and arguments; between them perhaps the id. */
const mistral: ToolSyntax = {
  name: "mistral",
  aliases: [],
  entries: [{ on: "[TOOL_CALLS]", to: "open" }],
  states: {
    open: blank(
      [
        { on: "[", to: "list" },
        { on: "{", to: "list", keep: true },
      ],
      "name",
    ),
    list: blank([
      { on: "{", to: "call", keep: true },
      { on: ",", to: "list", closes: true },
      { on: "]", to: "start" },
    ]),
    call: reads("envelope", "list"),
    name: collect([
      { on: "[ARGS]", to: "arguments", do: ["start"] },
      { on: "[CALL_ID]", to: "id", do: ["name"] },
      { on: "{", to: "arguments", do: ["start"], keep: true },
    ]),
    id: collect([{ on: "[ARGS]", to: "arguments", do: ["id", "start"] }]),
    arguments: reads("json", "start"),
  },
  writes: [
    { token: "[ARGS]", call: ["[TOOL_CALLS]", name, "[ARGS]", json] },
    {
      ...{ open: "[TOOL_CALLS][", between: ", ", close: "]" },
      call: ['{"name": ', quotedName, ', "arguments": ', json, "}"],
    },
  ],
  ids: "mistral",
  hint: /\[TOOL_CALLS\]/,
  token: "[TOOL_CALLS]",
};

/** Kimi K2: the id has the name in it, and is the id that the model expects with the result. */
const kimiK2: ToolSyntax = {
  name: "kimi_k2",
  aliases: [],
  entries: [
    { on: "<|tool_calls_section_begin|>", to: "section" },
    { on: "<|tool_call_begin|>", to: "call" },
  ],
  states: {
    section: blank([
      { on: "<|tool_call_begin|>", to: "call" },
      { on: "<|tool_calls_section_end|>", to: "start" },
    ]),
    call: blank([], "id"),
    id: collect([{ on: "<|tool_call_argument_begin|>", to: "arguments", do: ["start"] }], /^[^\s<>{}"]*\s*$/),
    arguments: reads("json", "after"),
    after: blank(
      [
        { on: "<|tool_call_end|>", to: "section", closes: true },
        { on: "<|tool_calls_section_end|>", to: "start" },
      ],
      "content",
    ),
  },
  writes: [
    {
      open: "<|tool_calls_section_begin|>",
      call: [
        ...["<|tool_call_begin|>functions.", name, ":", { slot: "index" } as const],
        ...["<|tool_call_argument_begin|>", json, "<|tool_call_end|>"],
      ],
      close: "<|tool_calls_section_end|>",
      ...{ most: 16, names: /^[\w.-]+$/ },
    },
  ],
  ids: "kimi",
  hint: /<\|tool_call_begin\|>/,
  token: "<|tool_calls_section_begin|>",
};

/** In the order in which detection tries them: a row that reads what another one writes comes behind it. */
export const families: readonly ToolSyntax[] = [
  ...[hermes, qwen3Coder, glm45, kimiK2, deepseekV3, deepseekV31, deepseekV32, mistral, harmony, olmo3],
  ...[pythonic, llama3Json],
];

export const reasonings: readonly ReasoningSyntax[] = [
  { name: "think", open: "<think>", close: "</think>" },
  { name: "mistral", open: "[THINK]", close: "[/THINK]" },
];
