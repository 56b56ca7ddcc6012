// Contract: no filter, method or normalizer turns what a user or a tool wrote into a control token; what templates build stays.
import { describe, expect, test } from "vitest";
import { type ChatMessage, ChatTemplate } from "../../lib/text/chatTemplate.js";
import { renderChat } from "../../lib/text/renderJob.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import type { MarkedEncodeOptions } from "../../lib/text/tokenizerOptions.js";
import { addedToken, byteLevelJson } from "./tokenizerFiles.js";

const controls = ["<|im_start|>", "<|im_end|>", "<|user|>", "[INST]", "</s>"];
/** Byte-level, every byte a token of its own; the controls have the ids from 256 on. */
const tokenizerOf = (fields: object = {}, flags: object = {}): Tokenizer => {
  const added_tokens = controls.map((text, i) => addedToken(256 + i, text, flags));
  return Tokenizer.parse(JSON.stringify(byteLevelJson([], { ...fields, added_tokens })), "t.json");
};
const plain = tokenizerOf();

/** Ids of a rendered chat, and its text without markers. */
function idsOf(tokenizer: Tokenizer, source: string, messages: readonly ChatMessage[]) {
  const template = new ChatTemplate("t.jinja", new Map([["default", source]]));
  const { text, marker } = template.textOf(renderChat(template.job(messages, {}, tokenizer.controlTexts)));
  const options: MarkedEncodeOptions = { marker };
  const ids = [...tokenizer.encode(text, { addSpecialTokens: false, ...options })];
  return { ids, text: marker === undefined ? text : text.replaceAll(marker, "") };
}
const controlsOf = (ids: readonly number[]): readonly string[] =>
  ids.filter((id) => id >= 256).map((id) => controls[id - 256]!);

describe("a token that a template makes of a content", () => {
  test.each([
    ["m.content | upper", "[inst]", "[INST]"],
    ["m.content.upper()", "[inst]", "[INST]"],
    ["(m.content | trim) | upper", " [inst] ", "[INST]"],
    ["m.content | lower", "<|IM_START|>", "<|im_start|>"],
    ["(m.content | upper) | lower", "<|Im_Start|>", "<|im_start|>"],
    ["m.content | replace('\\n', '')", "<|im_\nstart|>", "<|im_start|>"],
    ["m.content | replace('<think>', '')", "<|<think>user|>", "<|user|>"],
    ["m.content.replace('x', '')", "<x/s>", "</s>"],
    ["m.content.split() | join('')", "<|im_ start|>", "<|im_start|>"],
    ["m.content.splitlines() | join", "<|im_\nstart|>", "<|im_start|>"],
    ["m.content.split('-') | reverse | join", "|>-im_start-<|", "<|im_start|>"],
    ["[m.content] | map('lower') | join", "<|IM_START|>", "<|im_start|>"],
    ["[m.content] | map('lower') | first", "<|IM_START|>", "<|im_start|>"],
    ["[m.content] | map('lower') | map('trim') | list | join", "<|IM_START|>", "<|im_start|>"],
    ["''.join([m.content] | map('upper'))", "[inst]", "[INST]"],
    ["m.content | reverse", "]TSNI[", "[INST]"],
    ["m.content[::-1]", "]TSNI[", "[INST]"],
    ["m.content[::2]", "<-|-u-s-e-r-|->", "<|user|>"],
    ["m.content.format('start')", "<|im_{}|>", "<|im_start|>"],
    ["m.content | format('start')", "<|im_%s|>", "<|im_start|>"],
    ["m.content % 'start'", "<|im_%s|>", "<|im_start|>"],
    ["(m.content | fromjson).a", '{"a":"\\u003c|im_start|>"}', "<|im_start|>"],
    ["(m.content | fromjson | list)[0]", '{"\\u003c|im_start|>": 1}', "<|im_start|>"],
    ["(m.content | fromjson)[0][0]", '[["\\u003c|im_start|>"]]', "<|im_start|>"],
    ["('Q: ' ~ m.content) | replace('\\n', '')", "<|im_\nstart|>", "Q: <|im_start|>"],
  ])("{{ %s }} of %j", (expression, content, text) => {
    for (const role of ["user", "tool"]) {
      const source = `{% set brackets = ['[inst]', '<|', '|>'] %}{% for m in messages %}{{ ${expression} }}{% endfor %}`;
      const rendered = idsOf(plain, source, [{ role, content }]);
      expect([rendered.text, controlsOf(rendered.ids)]).toEqual([text, []]);
      expect(plain.decode(rendered.ids, { skipSpecialTokens: false })).toBe(text);
    }
  });
});

describe("a token that a template builds itself", () => {
  test.each([
    "'<|' + m.role + '|>' + m.content",
    "'<|' ~ m.role ~ '|>' ~ m.content",
    "('<|%s|>' | format(m.role)) ~ m.content",
    "'<|%s|>%s' % (m.role, m.content)",
    "'<|{}|>{}'.format(m.role, m.content)",
    "['<|', m.role, '|>', m.content] | join",
    "('<|ROLE|>' | replace('ROLE', m.role)) ~ m.content",
    "('<|USER|>' | lower) ~ m.content",
    "('<|user|>' ~ m.content) | trim",
    "['<|user|>', m.content] | join",
    "('<|user|>' ~ m.content ~ '\\n') | replace('\\n', '')",
  ])("{{ %s }}", (expression) => {
    for (const content of ["Hi", "user", "<|user|>", "<|", "|>x"]) {
      const source = `{% for m in messages %}{{ ${expression} }}{% endfor %}`;
      const { ids, text } = idsOf(plain, source, [{ role: "user", content }]);
      expect([text, controlsOf(ids)]).toEqual([`<|user|>${content}`, ["<|user|>"]]);
      expect(ids[0]).toBe(258);
    }
  });

  test("also of what the assistant wrote", () => {
    const source = "{{ messages | map(attribute='content') | join('') }}";
    const messages = ["a</s>", "b</s>"].map((content) => ({ role: "assistant", content }));
    expect(controlsOf(idsOf(plain, source, messages).ids)).toEqual(["</s>", "</s>"]);
  });
});

const replace = (pattern: object, content = "") => ({ type: "Replace", pattern, content });
const sequence = (...normalizers: object[]) => ({ type: "Sequence", normalizers });
const normalizers: Readonly<Record<string, object>> = {
  none: sequence(),
  NFKC: { type: "NFKC" },
  Lowercase: { type: "Lowercase" },
  Bert: {
    type: "BertNormalizer",
    ...{ clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  },
  StripAccents: sequence({ type: "NFD" }, { type: "StripAccents" }),
  "Replace _": replace({ String: "_" }),
  "Replace what is not ASCII": replace({ Regex: "[^\\x00-\\x7f]" }),
  "Replace the space": replace({ String: " " }, "_"),
};
const contents = [
  "<|im_start|>x",
  "a＜|im_start|＞x",
  "<|IM_START|>x",
  "<|ím_start|>x",
  "<|im__start|>",
  "<|im_\u0000start|>x",
  "<|imstart|>",
  "<|im start|>",
  "[inst]",
];

describe.each(Object.keys(normalizers))("what the normalizer makes of a content: %s", (name) => {
  test.each([
    { special: true, normalized: true },
    { special: true, normalized: false },
    { special: false, normalized: true },
  ])("%j", (flags) => {
    const tokenizer = tokenizerOf({ normalizer: normalizers[name] }, flags);
    for (const content of contents) {
      const source = "{% for m in messages %}<|im_end|>{{ m.content }}</s>{% endfor %}";
      const forbidden = flags.special ? controls : controls.filter((text) => /^<\|/.test(text));
      const { ids } = idsOf(tokenizer, source, [{ role: "user", content }]);
      const found = controlsOf(ids).filter((text) => forbidden.includes(text));
      expect([content, found]).toEqual([content, flags.special ? ["<|im_end|>", "</s>"] : ["<|im_end|>"]]);
    }
  });
});

test("an ordinary piece that spells a token is cut, also where the normalizer spelled it", () => {
  const vocab = ["</S>", "<unk>", "<", "/s>", "/", "s", ">"].map((piece, i) => [
    i === 0 ? "</s>" : piece,
    -i,
  ]);
  const json = byteLevelJson([], {
    added_tokens: [addedToken(0, "</s>", { normalized: true })],
    ...{ normalizer: { type: "Lowercase" }, pre_tokenizer: null, post_processor: null, decoder: null },
    model: { type: "Unigram", unk_id: 1, vocab },
  });
  const pieces = Tokenizer.parse(JSON.stringify(json), "u.json");
  const source = "{{ messages[0].content }}</s>";
  expect(idsOf(pieces, source, [{ role: "user", content: "</S>" }]).ids).toEqual([2, 3, 0]);
});

test("SentencePiece's normalizer: tokens that are found in normalized text are, as in transformers", () => {
  const normalizer = sequence({ type: "Prepend", prepend: "▁" }, replace({ String: " " }, "▁"));
  const tokenizer = tokenizerOf({ normalizer, pre_tokenizer: null }, { normalized: true });
  for (const text of ["</s>a b", "a</s>", "a </s>"]) {
    expect([...tokenizer.encode(text, { ...({ marker: "\ufdd0" } as MarkedEncodeOptions) })]).toEqual([
      ...tokenizer.encode(text),
    ]);
  }
});

test("generators give each item once although they are watched, and a template's own separators stay tokens", () => {
  const messages = ["<|IM_END|>", "b", "c"].map((content) => ({ role: "user", content }));
  const source =
    "{% set g = messages | map(attribute='content') | map('lower') %}{{ g | first }}{{ g | first }}{{ g | list | length }}" +
    "{{ messages | map(attribute='content') | join('</s>') }}{{ '</s>'.join(messages | map(attribute='content')) }}";
  const { ids, text } = idsOf(plain, source, messages);
  expect(text).toBe("<|im_end|>b1<|IM_END|></s>b</s>c<|IM_END|></s>b</s>c");
  expect(controlsOf(ids)).toEqual(["</s>", "</s>", "</s>", "</s>"]);
});
