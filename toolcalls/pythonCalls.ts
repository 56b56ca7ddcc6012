/** Rows of families that call in Python's form. */
import { blank, collect, reads, type ToolSyntax } from "./syntax.js";
import { name } from "./written.js";

/** States of calls in Python's form, of a list in brackets or of lines. */
const pythonCalls = {
  name: collect([{ on: "(", to: "arguments", do: ["name"] }], /^[\w.]*\s*$/),
  arguments: blank(
    [
      { on: ")", to: "called", do: ["start", "end"] },
      { on: ",", to: "arguments" },
    ],
    "key",
  ),
  key: collect([{ on: "=", to: "value", do: ["key"] }], /^\w*\s*$/),
  value: reads("python", "arguments"),
} as const;
/** Such a call. */
const pythonCall = [
  ...[name, "("],
  { slot: "members", around: ["", "=", ""], between: ", ", values: "python", names: "^\\w+$" },
  ")",
] as const;

/** Llama 3.2, Llama 4, ToolACE: a list of Python calls, in Llama 4 perhaps between markers. */
export const pythonic: ToolSyntax = {
  name: "pythonic",
  aliases: ["llama4_pythonic", "toolace"],
  entries: [
    { on: "<|python_start|>", to: "tagged" },
    { on: "[", to: "list", bare: "start" },
  ],
  states: {
    ...pythonCalls,
    tagged: blank([{ on: "[", to: "list" }]),
    list: blank([], "name"),
    called: blank([
      { on: ",", to: "list", closes: true },
      { on: "]", to: "after", closes: true },
    ]),
    after: blank([{ on: "<|python_end|>", to: "start" }], "content"),
  },
  writes: [{ open: "[", call: pythonCall, names: /^[\w.]+$/, between: ", ", close: "]" }],
  ids: "openai",
  hint: /\[\s*\w+\(\w+=[^)]*\),?[^\]]*\]/,
};

/** Olmo 3: a Python call on each line between tags. */
export const olmo3: ToolSyntax = {
  name: "olmo3",
  aliases: [],
  entries: [{ on: "<function_calls>", to: "called" }],
  states: {
    ...pythonCalls,
    called: blank([{ on: "</function_calls>", to: "start" }], "name"),
  },
  writes: [
    {
      ...{ open: "<function_calls>", close: "</function_calls>", between: "\n" },
      ...{ call: pythonCall, names: /^[\w.]+$/ },
    },
  ],
  ids: "openai",
  hint: /<function_calls>/,
};
