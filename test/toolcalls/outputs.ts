// What models of each family write, in the form that their chat templates and model cards publish, and what it says. Texts are ours.
import { markedSamples } from "./markedOutputs.js";
import { code, type Sample } from "./sample.js";

const hermes: readonly Sample[] = [
  {
    title: "one call",
    family: "hermes",
    text: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}\n</tool_call>',
    calls: [{ name: "get_weather", arguments: { city: "Oslo", days: 2 }, id: /^call_\w{24}$/ }],
  },
  {
    title: "text and two calls",
    family: "hermes",
    text:
      "I will look.\n" +
      '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>\n' +
      '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    content: "I will look.",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "thoughts, arguments first, brackets and escapes in strings",
    family: "hermes",
    reasoningMarkers: "think",
    text:
      "<think>\nThe user wants {braces}.\n</think>\n\n" +
      '<tool_call>\n{"arguments": {"query": "a \\"}] </tool_call> \\u00e9", "tags": ["x", "{"]}, "name": "search"}\n</tool_call>',
    reasoning: "The user wants {braces}.",
    calls: [{ name: "search", arguments: { query: 'a "}] </tool_call> é', tags: ["x", "{"] } }],
  },
  {
    title: "thoughts and an answer",
    family: "hermes",
    reasoningMarkers: "think",
    startsInReasoning: true,
    text: "Short.\n</think>\n\nHello  there.\n",
    reasoning: "Short.",
    content: "Hello  there.\n",
  },
  {
    title: "a call within thoughts",
    family: "hermes",
    reasoningMarkers: "think",
    startsInReasoning: true,
    text: 'I need it.\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    reasoning: "I need it.",
    calls: [{ name: "now", arguments: {} }],
  },
  {
    title: "no arguments, arguments as text, and none",
    family: "hermes",
    text:
      '<tool_call>{"name": "now"}</tool_call>' +
      '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}</tool_call>' +
      '<tool_call>{"name": "now", "arguments": null}</tool_call>',
    calls: [
      { name: "now", arguments: {} },
      { name: "get_weather", arguments: { city: "Oslo" } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "an answer that is almost a call",
    family: "hermes",
    text: "Write <tool_cal or <tool_call>{not json}</tool_call> and go on.",
    content: "Write <tool_cal or <tool_call>{not json}</tool_call> and go on.",
  },
  {
    title: "a closing tag is missing between calls",
    family: "hermes",
    text: '<tool_call>\n{"name": "now", "arguments": {}}\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\nDone.',
    calls: [
      { name: "now", arguments: {} },
      { name: "now", arguments: {} },
    ],
    content: "Done.",
  },
];

const qwen3Coder: readonly Sample[] = [
  {
    title: "types by the schema",
    family: "qwen3_coder",
    text:
      "<tool_call>\n<function=get_weather>\n<parameter=city>\n Oslo \n</parameter>\n<parameter=days>\n3\n</parameter>\n" +
      "<parameter=detail>\nTrue\n</parameter>\n</function>\n</tool_call>",
    calls: [{ name: "get_weather", arguments: { city: " Oslo ", days: 3, detail: true } }],
  },
  {
    title: "text of several lines",
    family: "qwen3_coder",
    text: `Now.\n\n<tool_call>\n<function=write_file>\n<parameter=path>\na.js\n</parameter>\n<parameter=text>\n${code}\n</parameter>\n</function>\n</tool_call>`,
    content: "Now.",
    calls: [{ name: "write_file", arguments: { path: "a.js", text: code } }],
  },
  {
    title: "lists, nothing, numbers that are strings, and two calls",
    family: "qwen3_coder",
    text:
      '<tool_call>\n<function=search>\n<parameter=query>\n42\n</parameter>\n<parameter=tags>\n["a", "b"]\n</parameter>\n</function>\n</tool_call>\n' +
      "<tool_call>\n<function=write_file>\n<parameter=mode>\nnull\n</parameter>\n<parameter=text>\n\n</parameter>\n</function>\n</tool_call>",
    calls: [
      { name: "search", arguments: { query: "42", tags: ["a", "b"] } },
      { name: "write_file", arguments: { mode: null, text: "" } },
    ],
  },
  {
    title: "tags that are missing",
    family: "qwen3_coder",
    text: "<function=write_file>\n<parameter=path>\nb\n<parameter=text>\nc\n</function>\n</tool_call>",
    calls: [{ name: "write_file", arguments: { path: "b", text: "c" } }],
  },
  {
    title: "no arguments, within thoughts",
    family: "qwen3_coder",
    reasoningMarkers: "think",
    startsInReasoning: true,
    text: "Hm.\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
    reasoning: "Hm.",
    calls: [{ name: "now", arguments: {} }],
  },
  {
    title: "text between arguments comes behind the call",
    family: "qwen3_coder",
    text: "<tool_call>\n<function=write_file>\noops\n<parameter=path>\nb\n</parameter>\n</function>\n</tool_call>",
    calls: [{ name: "write_file", arguments: { path: "b" } }],
    content: "oops",
  },
  {
    title: "a tag that names no tool",
    family: "qwen3_coder",
    text: "In HTML <function=foo> is nothing.",
    content: "In HTML <function=foo> is nothing.",
  },
];

const glm: readonly Sample[] = [
  {
    title: "strings raw, others JSON",
    family: "glm45",
    reasoningMarkers: "think",
    text:
      "<think>Look it up.</think>\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value> Oslo\n</arg_value>\n" +
      "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
    reasoning: "Look it up.",
    calls: [{ name: "get_weather", arguments: { city: " Oslo\n", days: 2 } }],
  },
  {
    title: "without line breaks (4.7), two calls, types unknown",
    family: "glm45",
    text:
      '<tool_call>search<arg_key>filter</arg_key><arg_value>{"a": [1, 2.50]}</arg_value><arg_key>other</arg_key><arg_value>word</arg_value></tool_call>' +
      "<tool_call>now</tool_call>",
    calls: [
      { name: "search", arguments: { filter: { a: [1, 2.5] }, other: "word" } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "text of several lines",
    family: "glm45",
    text: `<tool_call>write_file\n<arg_key>text</arg_key>\n<arg_value>${code}</arg_value>\n</tool_call>`,
    calls: [{ name: "write_file", arguments: { text: code } }],
  },
];

const llama: readonly Sample[] = [
  {
    title: "one call",
    family: "llama3_json",
    text: '{"name": "get_weather", "parameters": {"city": "Oslo"}}',
    calls: [{ name: "get_weather", arguments: { city: "Oslo" } }],
  },
  {
    title: "behind the tag, joined by semicolons",
    family: "llama3_json",
    text: '<|python_tag|>{"name": "now", "parameters": {}}; {"name": "search", "parameters": {"query": "a;b"}}',
    calls: [
      { name: "now", arguments: {} },
      { name: "search", arguments: { query: "a;b" } },
    ],
  },
  {
    title: "a type before the name",
    family: "llama3_json",
    text: '{"type": "function", "name": "now", "parameters": {}}',
    calls: [{ name: "now", arguments: {} }],
  },
  {
    title: "JSON that names no tool",
    family: "llama3_json",
    text: '{"name": "Bob", "parameters": {"age": 7}}',
    content: '{"name": "Bob", "parameters": {"age": 7}}',
  },
  {
    title: "JSON that is no call",
    family: "llama3_json",
    text: ' {"city": "Oslo", "name": "now"} ',
    content: ' {"city": "Oslo", "name": "now"} ',
  },
  {
    title: "JSON that does not begin the answer",
    family: "llama3_json",
    text: 'Here: {"name": "now", "parameters": {}}',
    content: 'Here: {"name": "now", "parameters": {}}',
  },
];

const pythonic: readonly Sample[] = [
  {
    title: "two calls",
    family: "pythonic",
    text: "[get_weather(city='Oslo', days=2), now()]",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo", days: 2 } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "literals of Python",
    family: "pythonic",
    text: "[search(query=\"it's \\\"x\\\" \\n\\x41\\u00e9\", tags=['a', 'b',], filter={'n': None, 't': True, 'l': (1, -2.5, 1_000)})]",
    calls: [
      {
        name: "search",
        arguments: {
          query: 'it\'s "x" \nAé',
          tags: ["a", "b"],
          filter: { n: null, t: true, l: [1, -2.5, 1000] },
        },
      },
    ],
  },
  {
    title: "between markers",
    family: "pythonic",
    text: "<|python_start|>[get_weather(city='Oslo', detail=False)]<|python_end|>",
    calls: [{ name: "get_weather", arguments: { city: "Oslo", detail: false } }],
  },
  {
    title: "strings of three quotes, and empty ones",
    family: "pythonic",
    text: "[write_file(path='', text='''a 'quoted' \"word\"\n''', mode=r'\\d')]",
    calls: [{ name: "write_file", arguments: { path: "", text: "a 'quoted' \"word\"\n", mode: "\\d" } }],
  },
  {
    title: "a list, a link and a call of no tool",
    family: "pythonic",
    text: "[link](https://example.org) [1, 2] [foo(a=1)]",
    content: "[link](https://example.org) [1, 2] [foo(a=1)]",
  },
];

const olmo: readonly Sample[] = [
  {
    title: "a call on each line",
    family: "olmo3",
    reasoningMarkers: "think",
    text: '<think>\nYes.\n</think>\n<function_calls>\nget_weather(city="Oslo")\nnow()\n</function_calls>',
    reasoning: "Yes.",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" } },
      { name: "now", arguments: {} },
    ],
  },
];

export const samples: readonly Sample[] = [
  ...[hermes, qwen3Coder, glm, llama, pythonic, olmo].flat(),
  ...markedSamples,
];
