// Contract: the family of a checkpoint is found by what its template writes, and a conversation with calls and results is rendered so
// that the family's parser reads the calls back.
import { describe, expect, test } from "vitest";
import { ChatTemplate } from "../../lib/text/chatTemplate.js";
import { detectFormat, type RenderChat } from "../../toolcalls/detect.js";
import { families, reasonings } from "../../toolcalls/families.js";
import { plainHistory, toTemplateMessages } from "../../toolcalls/history.js";
import { tools } from "./sample.js";
import { parse, parserFor } from "./parse.js";
import { type TemplateCase, templates } from "./templates.js";
import { ToyVocabulary } from "./vocabulary.js";

function rendererOf(source: string): RenderChat {
  const template = new ChatTemplate("a template", new Map([["default", source]]), {
    bos_token: "<s>",
    eos_token: "</s>",
  });
  return (messages, { templateOptions, ...options }) =>
    template.render(messages, { ...templateOptions, ...options });
}

const cases = templates.map((one) => [one.title, one] as const);

test.each(cases)("detects %s", async (_, { template, family, reasoning, history }) => {
  const format = await detectFormat(rendererOf(template));
  expect([format.syntax?.name, format.reasoning?.name]).toEqual([family, reasoning]);
  expect(format.history).toEqual({ ...plainHistory, ...history });
  expect(format.takesTools).toBe(template.includes("tools"));
});

const call = (id: string, name: string, args: object): object => ({
  ...{ id, type: "function" },
  function: { name, arguments: JSON.stringify(args) },
});
const conversation = [
  { role: "user", content: "the last question" },
  {
    role: "assistant",
    content: null,
    tool_calls: [
      call("call_abc", "get_weather", { city: "Oslo", days: 2 }),
      call("call_def", "search", { query: "a" }),
    ],
  },
  { role: "tool", tool_call_id: "call_abc", content: "result of abc" },
  { role: "tool", tool_call_id: "call_def", content: "result of def" },
];
const rendersCalls = ({ template, family }: TemplateCase): boolean =>
  family !== undefined && !template.includes("no calls");

describe("history", () => {
  test.each(cases.filter(([, one]) => rendersCalls(one)))(
    "%s: calls are read back",
    async (_, { template }) => {
      const render = rendererOf(template);
      const format = await detectFormat(render);
      const options = format.takesTools ? { tools: tools as readonly object[] } : {};
      const text = await render(toTemplateMessages(conversation, format.history), options);
      const prompt = await render(conversation.slice(0, 1), options);
      const written = text.startsWith(prompt)
        ? text.slice(prompt.length)
        : text.slice(text.indexOf("question") + 8);
      // A template with one call per message writes each behind the result of the one before.
      const turns = format.history.isSingle
        ? written.split(/(?=<\|start\|>assistant|<\|start_header_id\|>assistant)/)
        : [written];
      const calls = turns
        .map((turn) => turn.replace(/^<\|start_header_id\|>assistant<\|end_header_id\|>\n\n/, ""))
        .flatMap((turn) => parse(parserFor({ family: format.syntax!.name }), [{ text: turn }]).calls);
      expect(calls.map(({ name, arguments: json }) => [name, JSON.parse(json)])).toEqual([
        ["get_weather", { city: "Oslo", days: 2 }],
        ["search", { query: "a" }],
      ]);
      expect(text.indexOf("result of abc")).toBeLessThan(text.indexOf("result of def"));
      expect(text).toContain("result of abc");
    },
  );

  test.each([
    ["mistral", /^[a-zA-Z0-9]{9}$/],
    ["kimi", /^functions\.\w+:\d$/],
  ] as const)("ids of %s, the same in call and result", (ids, pattern) => {
    const mapped = toTemplateMessages(conversation, { ...plainHistory, ids });
    const own = (
      mapped[1] as unknown as { readonly tool_calls: readonly { readonly id: string }[] }
    ).tool_calls.map(({ id }) => id);
    expect(mapped.slice(2)).toMatchObject(own.map((id) => ({ tool_call_id: id })));
    expect(own).toEqual([expect.stringMatching(pattern), expect.stringMatching(pattern)]);
    expect(new Set(own).size).toBe(2);
    expect(toTemplateMessages(mapped, { ...plainHistory, ids })).toEqual(mapped);
  });

  test("one call per message: results stay with their calls, content with the first", () => {
    const messages = toTemplateMessages(
      [
        { role: "assistant", content: "I look.", reasoning: "hm", tool_calls: conversation[1]!.tool_calls! },
        conversation[3]!,
        conversation[2]!,
      ],
      { ...plainHistory, isSingle: true, reasoningField: "thinking", joinsThoughts: true },
    );
    expect(messages).toMatchObject([
      { role: "assistant", content: "", thinking: "hm\n\nI look.", tool_calls: [{ id: "call_abc" }] },
      { role: "tool", name: "get_weather", content: "result of abc" },
      { role: "assistant", content: "", tool_calls: [{ id: "call_def" }] },
      { role: "tool", name: "search", content: "result of def" },
    ]);
  });

  test("arguments that are no object are not lost, thoughts that the template does not read are left out", () => {
    const broken = { id: "x", type: "function", function: { name: "search", arguments: '{"query": "a' } };
    const said = { role: "assistant", content: "yes", reasoning_content: "hm" };
    expect(
      toTemplateMessages([{ role: "assistant", content: null, tool_calls: [broken] }, said], plainHistory),
    ).toEqual([
      {
        role: "assistant",
        content: "",
        tool_calls: [{ ...broken, function: { name: "search", arguments: { arguments: '{"query": "a' } } }],
      },
      { role: "assistant", content: "yes" },
    ]);
  });
});

test("tokens that one family has count where the template says nothing", async () => {
  const plain = rendererOf(templates.at(-1)!.template);
  const vocabulary = new ToyVocabulary(["<|tool_calls_section_begin|>", "<think>", "</think>"], []);
  const format = await detectFormat(plain, vocabulary);
  expect([format.syntax?.name, format.reasoning?.name]).toEqual(["kimi_k2", "think"]);
});

test("a row that is known is taken, and its history is found", async () => {
  const hermes = templates[0]!;
  const known = { syntax: families.find(({ name }) => name === "mistral")!, reasoning: reasonings[1]! };
  const format = await detectFormat(rendererOf(hermes.template), null, known);
  expect([format.syntax?.name, format.reasoning?.name, format.history.ids]).toEqual([
    "mistral",
    "mistral",
    "mistral",
  ]);
  const none = await detectFormat(rendererOf(hermes.template), null, { syntax: null, reasoning: null });
  expect([none.syntax, none.reasoning]).toEqual([undefined, undefined]);
});

test("a checkpoint without a template has no format", async () => {
  const fails: RenderChat = () => Promise.reject(new Error("no template"));
  expect(await detectFormat(fails)).toEqual({
    ...{ syntax: undefined, reasoning: undefined },
    ...{ history: plainHistory, takesTools: false },
  });
});
