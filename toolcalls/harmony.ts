/**
 * gpt-oss (harmony): the output is a row of messages with headers, `<|channel|>analysis<|message|>...<|end|><|start|>assistant...`.
 * The header says what a message is: thoughts, the answer, or the arguments of a call. Source: OpenAI, Harmony response format.
 */
import { blank, collect, reads, type State, type ToolSyntax } from "./syntax.js";
import { json, name } from "./written.js";

const ends = [
  { on: "<|end|>", to: "ended", closes: true },
  { on: "<|return|>", to: "ended", closes: true },
  { on: "<|call|>", to: "ended", closes: true },
  { on: "<|start|>", to: "header" },
] as const;
const body = (rule: "content" | "reasoning"): State => ({
  rule,
  edges: [...ends, { on: "<|channel|>", to: "header", collects: true }],
});

/** What can stand in a header, also one that is not whole: role, recipient, channel, content type, the beginning of a marker. */
const header = new RegExp(
  "^\\s*(?:a|as|ass|assi|assis|assist|assista|assistan|assistant)?\\s*(?:t|to|to=[\\w.-]*)?\\s*" +
    "(?:<\\|channel\\|>[\\w\\s=.-]*)?(?:<\\|constrain\\|>[\\w\\s=.-]*)?(?:<\\|?[a-z]*\\|?)?$",
);

export const harmony: ToolSyntax = {
  name: "openai",
  aliases: ["harmony", "gpt_oss"],
  entries: [],
  states: {
    // The prompt ends in <|start|>assistant.
    header: collect(
      [
        { on: "<|message|>", to: "content", do: ["message"] },
        { on: "<|start|>", to: "header" },
      ],
      header,
    ),
    reasoning: body("reasoning"),
    content: body("content"),
    arguments: reads("json", "ended"),
    ended: blank([...ends, { on: "<|channel|>", to: "header", collects: true }], "content"),
  },
  initial: "header",
  writes: [
    {
      call: [
        ...["<|channel|>commentary to=functions.", name, " <|constrain|>json<|message|>"],
        ...[json, "<|call|>"],
      ],
      ...{ most: 1, names: /^[\w.-]+$/ },
    },
  ],
  answer: {
    open: "<|channel|>final<|message|>",
    thoughts: { open: "<|channel|>analysis<|message|>", close: "<|end|><|start|>assistant", inPrompt: false },
    never: ["<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>"],
  },
  ids: "openai",
  hint: /<\|channel\|>/,
  token: "<|channel|>",
};

/** What a header says: where the message goes. */
export function readHeader(text: string): { readonly state: string; readonly name?: string } {
  const recipient = /\bto=([^\s<]+)/.exec(text)?.[1];
  if (recipient !== undefined) return { state: "arguments", name: recipient.replace(/^functions\./, "") };
  const channel = /<\|channel\|>\s*(\w+)/.exec(text)?.[1];
  return { state: channel === "analysis" ? "reasoning" : "content" };
}
