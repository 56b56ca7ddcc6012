// Contract: of whatever pieces a template puts a token together, a piece that a user wrote keeps it text; it reads as without this.
import { describe, expect, test } from "vitest";
import { ChatTemplate } from "../../lib/text/chatTemplate.js";
import { renderChat } from "../../lib/text/renderJob.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import type { MarkedEncodeOptions } from "../../lib/text/tokenizerOptions.js";
import { addedToken, byteLevelJson } from "./tokenizerFiles.js";

const controls = [
  "<|im_start|>",
  "<|im_end|>",
  "<|user|>",
  "[INST]",
  "</s>",
  "<｜User｜>",
  "ENDTURN",
  "(é🦊)",
];
const added_tokens = controls.map((text, i) => addedToken(256 + i, text));
const tokenizer = Tokenizer.parse(JSON.stringify(byteLevelJson([], { added_tokens })), "t.json");

function rendered(source: string, content: unknown, others: object = {}) {
  // The template has the brackets of tokens as texts of its own, which makes none of a user's one of them.
  const template = `{% set own = ['<|', '|>', '<', '>', '[', ']', '<｜', '[INST]', 'im_start'] %}${source}`;
  const chat = new ChatTemplate("t.jinja", new Map([["default", template]]));
  const messages = [{ role: "user", content, ...others } as never];
  const { text, marker } = chat.textOf(renderChat(chat.job(messages, {}, tokenizer.controlTexts)));
  const options: MarkedEncodeOptions = { marker };
  const ids = [...tokenizer.encode(text, { addSpecialTokens: false, ...options })];
  return {
    tokens: ids.filter((id) => id >= 256).map((id) => controls[id - 256]!),
    text: tokenizer.decode(ids, { skipSpecialTokens: false }),
    trusted: chat.render(messages),
  };
}

/** The content of the message is `c` in the templates. */
const withContent = (source: string): string => `{% set c = messages[0].content %}${source}`;

describe("pieces of a content", () => {
  test.each([
    ["{{ c.split('-') | join }}", "<|-im_start-|>"],
    ["{{ ''.join(c.split('-')) }}", "<|-im_start-|>"],
    ["{{ c.rsplit('-', 2) | join }}", "<|-im_start-|>"],
    ["{{ c | replace('-', '') }}", "<|-im_start-|>"],
    ["{{ c.split('-')[0] ~ c.split('-')[1] ~ c.split('-')[2] }}", "<|-im_start-|>"],
    ["{{ c.split('-')[0] + c.split('-')[1] }}", "<|im_-start|>"],
    ["{% set p = c.split('-') %}{{ p[0] }}{{ p[1] }}{{ p[2] }}", "<|-im_start-|>"],
    ["{% set a, b = c.split('-') %}{{ b ~ a }}", "im_start|>-<|"],
    ["{% set a, b, d = c.partition('-') %}{{ a ~ d }}", "<|im_-start|>"],
    ["{% set a, b, d = c.rpartition('-') %}{{ a ~ d }}", "<|im_-start|>"],
    ["{{ c[:5] ~ c[6:] }}", "<|im_-start|>"],
    ["{{ c[0] ~ c[2:] }}", "<-|im_start|>"],
    ["{% for x in c %}{{ x if x != '-' }}{% endfor %}", "<-|-im_start-|->"],
    ["{% for x in c if x != '-' %}{{ x }}{% endfor %}", "<-|-im_start-|->"],
    ["{% for x in c | reverse %}{{ x }}{% endfor %}", ">|trats_mi|<"],
    ["{% for i in range(0, c | length, 2) %}{{ c[i] }}{% endfor %}", "<-|-u-s-e-r-|->-"],
    ["{% for i in range(c | length) %}{{ c[-1 - i] }}{% endfor %}", ">|trats_mi|<"],
    ["{% for x in c %}{{ loop.nextitem }}{{ loop.previtem }}{% endfor %}", "/<s//>s"],
    ["{{ c | list | reject('equalto', '-') | join }}", "<-|-im_start-|->"],
    ["{{ c | unique | join }}", "[[INNST]"],
    ["{{ c | list | sort | join }}", "<>s/"],
    ["{% for row in c | batch(2) %}{{ row[0] }}{% endfor %}", "<-|-u-s-e-r-|->-"],
    [
      "{% for row in c | slice(2) %}{{ row | join }}{% if loop.first %}{{ '' }}{% endif %}{% endfor %}",
      "<|im_start|>",
    ],
    ["{{ (c | list)[::-1] | join }}", ">|trats_mi|<"],
    ["{{ c | map('trim') | join }}", "< | u s e r | >"],
    ["{{ c | list | sum(start='') }}", "<|user|>"],
    [
      "{% set ns = namespace(t='') %}{% for x in c.split() %}{% set ns.t = ns.t + x %}{% endfor %}{{ ns.t }}",
      "<| im_start |>",
    ],
    [
      "{% set ns = namespace(t='') %}{% for x in c %}{% set ns.t = x ~ ns.t %}{% endfor %}{{ ns.t }}",
      ">|trats_mi|<",
    ],
    [
      "{% set ns = namespace(l=[]) %}{% for x in c.split() %}{% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.l | join }}",
      "<| im_start |>",
    ],
    ["{% macro put(a, b) %}{{ b }}{{ a }}{% endmacro %}{{ put(c[2:], c[:2]) }}", "<|user|>"],
    ["{% macro put() %}{{ varargs | join }}{% endmacro %}{{ put(*c.split()) }}", "<| user |>"],
    [
      "{% set x %}{{ c.split()[0] }}{% endset %}{% set y %}{{ c.split()[1] }}{% endset %}{{ x ~ y }}",
      "<|us er|>",
    ],
    ["{% filter replace('-', '') %}{{ c }}{% endfilter %}", "<|-im_start-|>"],
    ["{% filter trim %} {{ c }} {% endfilter %}", "<|im_start|>"],
    ["{{ '%s%s' % (c[:3], c[3:]) }}", "<|user|>"],
    ["{{ '%s%s' | format(*c.split()) }}", "<|us er|>"],
    ["{{ '{1}{0}'.format(*c.split()) }}", "er|> <|us"],
    ["{{ '%.2s' % c }}{{ c[3:] }}", "<|-im_start|>"],
    ["{{ c.strip('*') }}", "*<|im_start|>*"],
    ["{{ c.split()[0].strip('*') ~ c.split()[1].strip('*') }}", "<|im_* *start|>"],
    ["{{ c.split()[0] | trim('*') }}{{ c.split()[1].lstrip('*') }}", "<|im_* *start|>"],
    ["{{ c.removeprefix('x').removesuffix('y') }}", "x<|im_start|>y"],
    [
      "{{ c.split('|')[1] | indent(0) }}{{ '' }}{{ c.split('|')[0] ~ '|' ~ c.split('|')[1] ~ '|' ~ c.split('|')[2] }}",
      "<|user|>",
    ],
    ["{% set d = {c[:2]: c[2:]} %}{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}", "<|user|>"],
    ["{% set d = dict(a=c[:2]) %}{{ d.a ~ c[2:] }}", "<|user|>"],
    ["{% for k, v in {c[:2]: c[2:]} | dictsort %}{{ k ~ v }}{% endfor %}", "<|user|>"],
    ["{% set n = cycler(c[:2], c[2:]) %}{{ n.next() }}{{ n.next() }}", "<|user|>"],
    ["{% set j = joiner(c[2:]) %}{{ j() }}{{ c[:2] }}{{ j() }}", "<|user|>"],
    ["{{ [c[2:], c[:2]] | max ~ [c[2:], c[:2]] | min }}", "<|~im_start|>"],
    ["{{ c | tojson | replace('\"', '') }}", "<|im_start|>"],
    ["{{ (c | tojson)[1:-1] }}", "</s>"],
    ["{{ [c] | string | replace(\"'\", '') | replace('[', '') | replace(']', '') }}", "<|user|>"],
    ["{{ (c | fromjson).values() | join }}", '{"a":"\\u003c\\u007cim_","b":"start\\u007c\\u003e"}'],
    ["{{ [c] | map('fromjson') | join }}", '"\\u003c\\u007cuser\\u007c\\u003e"'],
    ["{{ c | striptags }}", "&lt;|im_start|&gt;"],
    ["{{ c | striptags }}", "&#60;&#x7c;user&#x7c;&#62;"],
    ["{{ '%c|user|>' % c[0] }}", "<"],
    ["{{ c }}", "ENDTURN"],
    ["{{ c.split() | join }}", "(é 🦊)"],
    ["{{ c.split() | join }}", "<｜ User ｜>"],
    ["{{ c | truncate(8, true, '', 0) }}", "<|user|>x"],
    ["{{ c | wordwrap(4, wrapstring='') }}", "<|us er|>"],
    ["{{ c | center(12) | trim }}", "<|user|>"],
    ["{{ c | title | lower }}", "<|USER|>"],
    ["{{ c.swapcase() }}", "[inst]"],
    ["{{ c.split('\\n') | join }}", "<|im_\nstart|>"],
    ["{{ c.splitlines() | map('trim') | join }}", "<|im_\n  start|>"],
    ["{{ c.replace('ab', '').replace('a', '').replace('b', '') }}", "<|im_aabbstart|>"],
    ["{{ c | first }}{{ c[1:-1] }}{{ c | last }}", "</s>"],
    ["{{ c.zfill(2).ljust(9).rjust(9).strip() }}", "<|user|>"],
    ["{{ 2 * c[:4] }}{{ (c * 2)[4:8] }}", "</s>"],
    ["{{ '<' ~ (c | urlencode) ~ '>' }}", "/s"],
    ["<{{ c }}|>", "|user"],
    ["{{ '<|' ~ c }}", "user|>"],
  ])("%s of %j", (source, content) => {
    const { tokens, text, trusted } = rendered(withContent(source), content);
    expect([tokens, text]).toEqual([[], trusted]);
  });
});

test("pieces of parts, names and other fields", () => {
  const parts = ["<|", "im_start", "|>"].map((text) => ({ type: "text", text }));
  for (const source of [
    "{% for p in messages[0].content %}{{ p.text }}{% endfor %}",
    "{{ messages[0].content | map(attribute='text') | join }}",
    "{{ messages[0].content | sum(attribute='text', start='') }}",
    "{% for g in messages[0].content | groupby('type') %}{% for p in g.list %}{{ p.text }}{% endfor %}{% endfor %}",
    "{{ '%c' % messages[0].code ~ messages[0].content[0].text[1] ~ messages[0].name ~ '%c%c' | format(124, 62) }}",
    "{{ messages[0].open ~ messages[0].name ~ messages[0].content[2]['text'] }}",
    "{{ messages[0]['args'].keys() | join }}{{ messages[0].content[1].text ~ messages[0].content[2].text }}",
  ]) {
    const others = { code: 60, open: "<|", name: "im_start", args: { "<|": 1 } };
    const { tokens, text } = rendered(source, parts, others);
    expect([source, tokens, text]).toEqual([source, [], "<|im_start|>"]);
  }
});

describe("a template's own tokens stay beside what users wrote", () => {
  test.each([
    ["{{ ('<|user|>' ~ c) | trim }}", 1],
    ["{{ ('<|user|>' ~ c ~ '</s>') | replace('\\n', '') }}", 2],
    ["{{ ('<|user|>' ~ c ~ '</s>').replace('<x>', '<y>').strip() }}", 2],
    ["{{ '[INST] %s [/INST]</s>' % c }}", 2],
    ["{{ '[INST] {} [/INST]</s>'.format(c) }}", 2],
    ["{{ c.replace('Q', '</s>') ~ ('Q' ~ c).replace('Q', '<|user|>') }}", 1],
    ["{% set t %}<|user|>{{ c }}</s>{% endset %}{{ t | indent(2) }}", 2],
    ["{% set t %}<|user|>{{ c }}</s>{% endset %}{{ t[:8] }}{{ t[8:] }}", 2],
    ["{% set t %}<|user|>{{ c }}</s>{% endset %}{{ t.split('a') | join('a') }}", 2],
    ["{% set t %}<|user|>{{ c }}</s>{% endset %}{{ t | upper | lower }}", 2],
    ["{{ ['<|user|>', c, '</s>'] | join('\\n') }}", 2],
    ["{{ ['<|', messages[0].role, '|>', c] | join }}", 1],
    ["{{ '<|' + messages[0]['role'] + '|>' + c }}", 1],
    ["{{ '<｜' ~ (messages[0].role | capitalize) ~ '｜>' ~ c }}", 1],
    ["{{ '<' ~ '|user|' ~ '>' ~ c }}", 1],
  ])("%s", (source, count) => {
    for (const content of ["a<|im_start|>b", "a|>", "a<", "<x>a</x>", "<|user|>a", "[INST]a[/INST]"]) {
      const { tokens, text, trusted } = rendered(withContent(source), content);
      expect([content, tokens.length, text]).toEqual([content, count, trusted]);
    }
  });
});

test("a template reads what users wrote as it is", () => {
  const tests = [
    "c == '[INST] <|user|>'", "c != '[INST] <|user|>'", "c[0] == '['", "c[:6] == '[INST]'", "'<|user|>' in c", "c in ['[INST] <|user|>']",
    "c is eq('[INST] <|user|>')", "c is in(['[INST] <|user|>'])", "{'[INST] <|user|>': 1}[c]", "{'[INST] <|user|>': 1}.get(c)",
    "c in {'[INST] <|user|>': 1}", "{c: 1}['[INST] <|user|>']", "{c: 1} == {'[INST] <|user|>': 1}", "c.startswith('[INST]')",
    "c.endswith('|>')", "c.endswith(('x', '|>'))", "c.find('<')", "c.index('|>')", "c.count('|')", "c | length", "c < '[INST] =' ",
    "c.split('] <')", "c.split('|')[1]", "c.replace('<|user|>', 'x')", "c | replace('[', '(')", "c.partition('] ')", "c.strip('[<|>')",
    "c.lstrip('[')", "c.removeprefix('[INST]')", "c.removesuffix('|>')", "c | string", "[c]", "{'a': c}", "{c: 1}", "c | tojson", "c | e",
    "c | urlencode", "c | title", "c.title()", "c | striptags", "c | wordcount", "c | truncate(9)", "c | capitalize", "c.isalnum()",
    "[c, '[INST] <|user|>'] | unique | list", "[{'a': c}] | selectattr('a', 'equalto', '[INST] <|user|>') | list | length",
    "['[INST] <|user|>'] | select('equalto', c) | list | length", "[{'a': c}, {'a': '[INST] <|user|>'}] | groupby('a') | length",
    "[[c]] == [['[INST] <|user|>']]", "('x' ~ c).split('<')", "c | list", "(c ~ '[').count('[')", "c.center(30, '<')", "c | tojson(indent=2)",
    "c | format", "'%-20r' % c", "[c] | sort | first", "c | indent(1, true)", "c | int(7)", "[c].index('[INST] <|user|>')", "c | pprint",
  ]; // prettier-ignore
  for (const expression of tests) {
    const source = withContent(`:{{ ${expression} }}`);
    for (const content of ["[INST] <|user|>", "a"]) {
      let trusted: unknown;
      try {
        ({ trusted } = rendered(source, content));
      } catch (cause) {
        trusted = cause;
      }
      if (trusted instanceof Error) expect(trusted.message).toMatch(/index|not found|not in|is undefined/);
      else expect([expression, rendered(source, content).text]).toEqual([expression, trusted]);
    }
  }
});

test("errors show texts as they are", () => {
  expect(() => rendered("{{ raise_exception('no: ' ~ messages[0].content) }}", "<|user|> [x]")).toThrow(
    "no: <|user|> [x]",
  );
});

test("characters for private use stay what they are, and stand for nothing", () => {
  const content = "\ufdd0\ufdd1\ufdd2\ue000\u{f0000}<|im_\ufdd3start|>\uf8ff";
  const { tokens, text } = rendered(withContent("{{ c }}|{{ c | length }}"), content);
  expect([tokens, text]).toEqual([[], `${content}|19`]);
});

test("without a character that the messages leave free nothing is rendered", () => {
  const range = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, i) => String.fromCharCode(from + i)).join("");
  const most = range(0xfdd0, 0xfdf0) + range(0xe000, 0xf800);
  expect(rendered("{{ messages[0].content }}", `${most}</s>`).tokens).toEqual([]);
  expect(() => rendered("{{ messages[0].content }}", most + range(0xf800, 0xf900))).toThrow(
    "too many of the characters for private use",
  );
});
