// Samples of families whose markers are tokens of their own.
import { code, type Sample } from "./sample.js";

const mistral: readonly Sample[] = [
  {
    title: "a list of objects",
    family: "mistral",
    text: '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "now", "arguments": {}}]',
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" }, id: /^[a-zA-Z0-9]{9}$/ },
      { name: "now", arguments: {}, id: /^[a-zA-Z0-9]{9}$/ },
    ],
  },
  {
    title: "name and arguments",
    family: "mistral",
    reasoningMarkers: "mistral",
    text: '[THINK]Which city?[/THINK]I look.[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]now[ARGS]{}',
    reasoning: "Which city?",
    content: "I look.",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" } },
      { name: "now", arguments: {}, id: /^[a-zA-Z0-9]{9}$/ },
    ],
  },
  {
    title: "with ids",
    family: "mistral",
    text: '[TOOL_CALLS]search[CALL_ID]a1B2c3D4e[ARGS]{"query": "[ARGS] ] }"}',
    calls: [{ name: "search", arguments: { query: "[ARGS] ] }" }, id: "a1B2c3D4e" }],
  },
];

const deepseek: readonly Sample[] = [
  {
    title: "V3: type, name, fence",
    family: "deepseek_v3",
    reasoningMarkers: "think",
    startsInReasoning: true,
    text:
      "So.\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n" +
      '```json\n{"city": "Oslo"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    reasoning: "So.",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "V3.1: name and arguments",
    family: "deepseek_v31",
    text:
      'Wait.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>' +
      "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    content: "Wait.",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "V3.2: tags with types",
    family: "deepseek_v32",
    reasoningMarkers: "think",
    startsInReasoning: true,
    text:
      'Hm</think>\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="search">\n<｜DSML｜parameter name="query" string="true">12</｜DSML｜parameter>\n' +
      '<｜DSML｜parameter name="tags" string="false">["a"]</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    reasoning: "Hm",
    calls: [
      { name: "search", arguments: { query: "12", tags: ["a"] } },
      { name: "now", arguments: {} },
    ],
  },
  {
    title: "V4: another outer tag",
    family: "deepseek_v32",
    text: `<｜DSML｜tool_calls>\n<｜DSML｜invoke name="write_file">\n<｜DSML｜parameter name="text" string="true">${code}</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>`,
    calls: [{ name: "write_file", arguments: { text: code } }],
  },
];

const harmony: readonly Sample[] = [
  {
    title: "thoughts, a preamble and a call",
    family: "openai",
    text:
      "<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|>" +
      '<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city":"Oslo"}<|call|>',
    reasoning: "Need weather.",
    content: "I look.",
    calls: [{ name: "get_weather", arguments: { city: "Oslo" } }],
  },
  {
    title: "the recipient in the role",
    family: "openai",
    text: " to=functions.now<|channel|>commentary json<|message|>{}<|call|>",
    calls: [{ name: "now", arguments: {} }],
  },
  {
    title: "thoughts and the answer",
    family: "openai",
    text: "<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>It is 4.<|return|>",
    reasoning: "Easy.",
    content: "It is 4.",
  },
  {
    title: "an answer without a header",
    family: "openai",
    text: "as you like",
    content: "as you like",
  },
];

const kimi: readonly Sample[] = [
  {
    title: "two calls, whose ids are written",
    family: "kimi_k2",
    reasoningMarkers: "think",
    text:
      "<think>Two.</think>I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>" +
      '{"city": "Oslo"}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>',
    reasoning: "Two.",
    content: "I look.",
    calls: [
      { name: "get_weather", arguments: { city: "Oslo" }, id: "functions.get_weather:0" },
      { name: "now", arguments: {}, id: "functions.now:1" },
    ],
  },
  {
    title: "a name without a number, and text behind the section",
    family: "kimi_k2",
    text: "<|tool_calls_section_begin|><|tool_call_begin|>now<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>ok",
    calls: [{ name: "now", arguments: {}, id: "functions.now:0" }],
    content: "ok",
  },
];

export const markedSamples: readonly Sample[] = [...mistral, ...deepseek, ...harmony, ...kimi];
