// Contract: prompts are those the checkpoint was trained on; what is wrong with messages, template or files is named.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ChatTemplate, type ChatMessage, type ChatTemplateOptions } from "../../lib/text/chatTemplate.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { goldens, modelFolder, modelNames } from "./checkpoint.js";

const hello: readonly ChatMessage[] = [{ role: "user", content: "Hi" }];
const make = (source: string, tokens = {}): ChatTemplate =>
  new ChatTemplate("t.json", new Map([["default", source]]), tokens);
const chats = (name: string) => goldens(name).filter(({ prompt }) => prompt.startsWith("<|im_start|>"));

describe.each(modelNames)("golden chats of %s", (name) => {
  test("there are some", () => {
    expect(chats(name).length).toBeGreaterThan(5);
  });

  test.each(chats(name))("$prompt", async ({ prompt, prompt_ids: ids }) => {
    const template = await ChatTemplate.load(modelFolder(name));
    const tokenizer = (await Tokenizer.load(modelFolder(name)))!;
    const content = prompt.slice("<|im_start|>user\n".length, prompt.indexOf("<|im_end|>"));
    const rendered = template.render([{ role: "user", content }]);
    expect(rendered).toBe(prompt);
    expect([...tokenizer.encode(rendered, { addSpecialTokens: false })]).toEqual(ids);
  });
});

test("several messages, and no opening of the answer", async () => {
  const template = await ChatTemplate.load(modelFolder("tiny-moe"));
  const messages = [
    { role: "system", content: "Be brief." },
    ...hello,
    { role: "assistant", content: "Hello {{ 1 }}" },
  ];
  expect(template.render(messages, { addGenerationPrompt: false })).toBe(
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n" +
      "<|im_start|>assistant\nHello {{ 1 }}<|im_end|>\n",
  );
});

test("a template sees tokens, tools and further variables", () => {
  const source =
    "{{ bos_token }}|{{ pad_token }}|{{ tools is none }}|{{ enable_thinking }}|{{ messages[0].name }}";
  const messages = [{ role: "user", content: "x", name: "Wren" }];
  const render = (options: ChatTemplateOptions): string =>
    make(source, { bos_token: "<s>" }).render(messages, options);
  expect(render({ enable_thinking: false })).toBe("<s>||True|False|Wren");
  expect(render({ tools: [{ name: "clock" }] })).toBe("<s>||False||Wren");
});

describe("files", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "warploop-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const write = (name: string, content: unknown): void => {
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  };

  test("no template", async () => {
    for (const config of [undefined, {}, { chat_template: null }]) {
      if (config !== undefined) write("tokenizer_config.json", config);
      const template = await ChatTemplate.load(folder);
      expect(template.available).toBe(false);
      expect(() => template.render(hello)).toThrow(expect.objectContaining({ code: "ERR_CHAT_TEMPLATE" }));
      expect(() => template.render(hello)).toThrow("no chat template");
    }
  });

  test("a list of named templates; special tokens as text, object or null", async () => {
    write("tokenizer_config.json", {
      bos_token: { content: "<s>" },
      eos_token: "</s>",
      pad_token: null,
      chat_template: [
        { name: "default", template: "{{ bos_token }}plain{{ eos_token }}{{ pad_token }}" },
        { name: "tool_use", template: "tools" },
      ],
    });
    const template = await ChatTemplate.load(folder);
    expect(template).toMatchObject({ available: true, file: join(folder, "tokenizer_config.json") });
    expect(template.render(hello)).toBe("<s>plain</s>");
    expect(template.render(hello, { tools: [{}] })).toBe("tools");
  });

  test("chat_template.jinja comes before tokenizer_config.json", async () => {
    write("tokenizer_config.json", { chat_template: "old", bos_token: "<s>" });
    write("chat_template.jinja", "{{ bos_token }}new");
    const template = await ChatTemplate.load(folder);
    expect(template.render(hello)).toBe("<s>new");
    expect(template.file).toBe(join(folder, "chat_template.jinja"));
  });

  test.each<[string, unknown]>([
    ["truncated", '{"chat_template": "x'],
    ["a list", []],
    ["a template that is a number", { chat_template: 5 }],
    ["a list without names", { chat_template: ["x"] }],
  ])("malformed: %s", async (_, content) => {
    write("tokenizer_config.json", content);
    const error = {
      name: "TextError",
      code: "ERR_CHAT_TEMPLATE",
      file: join(folder, "tokenizer_config.json"),
    };
    await expect(ChatTemplate.load(folder)).rejects.toMatchObject(error);
  });
});

test.each<[string, string, string]>([
  ["syntax", "{% for %}", "failed"],
  ["refusal", "{{ raise_exception('roles must alternate') }}", "roles must alternate"],
  ["an unknown filter", "{{ 'x' | nope }}", "failed"],
  [
    "endless",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "list items",
  ],
])("a template that fails: %s", (_, source, part) => {
  const template = make(source);
  expect(() => template.render(hello)).toThrow(
    expect.objectContaining({ name: "TextError", code: "ERR_CHAT_TEMPLATE" }),
  );
  expect(() => template.render(hello)).toThrow(part);
  expect(() => template.render(hello)).toThrow("t.json");
});

test.each<[string, unknown, string, string]>([
  ["text", "Hi", "ERR_ARGUMENT_TYPE", "messages: expected an array"],
  ["nothing", [], "ERR_ARGUMENT_RANGE", "messages"],
  ["a string inside", [...hello, "Hi"], "ERR_ARGUMENT_TYPE", "messages[1]: expected an object"],
  ["null inside", [null], "ERR_ARGUMENT_TYPE", "messages[0]: expected an object"],
  ["no role", [{ content: "x" }], "ERR_ARGUMENT_TYPE", "messages[0].role: expected a string"],
  ["a role that is a number", [...hello, { role: 5, content: "x" }], "ERR_ARGUMENT_TYPE", "messages[1].role"],
  [
    "no content",
    [{ role: "user", name: "x" }],
    "ERR_ARGUMENT_TYPE",
    "messages[0].content: expected a string",
  ],
  [
    "content of another name",
    [...hello, { role: "user", contents: "x" }],
    "ERR_ARGUMENT_TYPE",
    'messages[1].content: expected a string, a list of parts, or null, got undefined; did you mean "content" by "contents"?',
  ],
  [
    "content of another name of who may say something else",
    [{ role: "assistant", Content: "x", thinking: "y" }],
    "ERR_ARGUMENT_TYPE",
    'did you mean "content" by "Content"?',
  ],
  [
    "a user who says something else",
    [{ role: "user", text: "x" }],
    "ERR_ARGUMENT_TYPE",
    "messages[0].content: expected a string, a list of parts, or null, got undefined",
  ],
  [
    "a role of another name",
    [{ Role: "user", content: "x" }],
    "ERR_ARGUMENT_TYPE",
    'messages[0].role: expected a string, got undefined; did you mean "role" by "Role"?',
  ],
  ["content that is an object", [{ role: "user", content: {} }], "ERR_ARGUMENT_TYPE", "messages[0].content"],
  [
    "a part that is a string",
    [{ role: "user", content: ["x"] }],
    "ERR_ARGUMENT_TYPE",
    "messages[0].content[0]",
  ],
  [
    "a list of parts with a hole",
    [{ role: "user", content: new Array(2) }],
    "ERR_ARGUMENT_TYPE",
    'messages[0].content[0]: expected { type: "text", text }, got undefined',
  ],
])("refuses messages: %s", (_, messages, code, part) => {
  const render = (): string => make("x").render(messages as ChatMessage[]);
  expect(render).toThrow(expect.objectContaining({ code }));
  expect(render).toThrow(part);
});

test("takes further fields, and messages that say something else than content", () => {
  const template = make("{% for m in messages %}{{ m.content or m.tool_calls or m.thinking }},{% endfor %}");
  const call = { type: "function", function: { name: "f" } };
  const messages: readonly ChatMessage[] = [
    { role: "user", content: "a", name: "Wren", contents: "of no meaning here" },
    { role: "assistant", content: null, thinking: "b" },
    { role: "assistant", tool_calls: [call], context: "beside it" },
    { role: "assistant", thinking: "c" } as unknown as ChatMessage,
  ];
  expect(template.render(messages)).toMatch(/^a,b,.*'f'.*,c,$/);
});

test("refuses options of the wrong type", () => {
  expect(() => make("x").render(hello, { addGenerationPrompt: 1 as unknown as boolean })).toThrow(
    "addGenerationPrompt",
  );
  expect(() => make("x").render(hello, { tools: "x" as unknown as object[] })).toThrow("tools");
});
