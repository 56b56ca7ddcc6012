// Contract: raw blocks, tests with arguments and all forms of numbers render as in Jinja 3.1.6 with the settings of transformers;
// the parser, @huggingface/jinja, knows none of them.
import { expect, test } from "vitest";
import { render } from "../../lib/text/jinja/interpreter.js";
import { valueOf } from "../../lib/text/jinja/json.js";
import { parseTemplate, variablesRead } from "../../lib/text/jinja/syntax.js";
import { isStackOverflow, TemplateError, type Value } from "../../lib/text/jinja/values.js";

const variables = { xs: [3, 1, 2], user: { n: { m: 3 } } };
const run = (source: string): string => {
  const values = Object.entries(variables).map(([name, value]): [string, Value] => [
    name,
    valueOf(value, name),
  ]);
  return render(parseTemplate(source), new Map(values), { now: new Date(0) });
};

test.each<[string, string]>([
  ["{% raw %}{{ x }}{% endraw %}", "{{ x }}"],
  ["a {% raw %} {% if %} {# c #} '\" {% endraw %} b", "a  {% if %} {# c #} '\"  b"],
  ["a\n  {% raw %}\n  b {{ c }}\n  {% endraw %}\n  {% if true %}y{% endif %}\nz", "a\n\n  b {{ c }}\nyz"],
  ["a \n {%- raw -%}  b \n {%- endraw -%} \n c", "abc"],
  ['x{# {% raw %} #}y{{ "{% raw %}" }}z', "xy{% raw %}z"],
  ["{% raw %}{% endraw %}|", "|"],
  ["  {% raw %}a{% endraw %}\n\n  {{ 1 }}", "a\n  1"],
  ["{% if true %}\n  {% raw %}{%- x -%}\n q{% endraw %}\n{% endif %}w", "{%- x -%}\n qw"],
  ["  {%+ raw %}a\n  {%+ endraw %}b", "  a\n  b"],
  ["{% raw %}a{% endraw +%}\nb", "a\nb"],
  ["{{ {'a': {'b': 1}} }}{% raw %}{{{% endraw %}", "{'a': {'b': 1}}{{"],
  [
    "{{ 4 is divisibleby(2) }}{{ 4 is divisibleby 3 }}{{ 4 is not divisibleby 3 }}{{ 4 is not divisibleby(2) }}",
    "TrueFalseTrueFalse",
  ],
  [
    "{{ none is sameas none }}{{ none is sameas(none) }}{{ 1 is sameas true }}{{ true is sameas true }}",
    "TrueTrueFalseTrue",
  ],
  [
    "{{ 1 is in [1, 2] }}{{ 3 is in([1]) }}{{ 3 is not in [1] }}{{ 'a' is in 'cat' }}{{ 'k' is in {'k': 1} }}",
    "TrueFalseTrueTrueTrue",
  ],
  ["{{ 1 is eq 1 and 2 is lt 3 }}{{ 'a' if 6 is divisibleby 3 else 'b' }}", "Truea"],
  [
    "{{ xs[0] is eq xs[0] }}{{ 3 is in xs[1:] }}{{ 3 is eq user.n.m }}{{ user.n.m is gt 2 or false }}",
    "TrueFalseTrueTrue",
  ],
  ["{{ not 4 is divisibleby 3 }}{{ 1 + 4 is divisibleby 2 }}", "True2"],
  ["{% for x in xs if x is divisibleby 2 %}{{ x }},{% endfor %}", "2,"],
  ["{% for x in xs %}{% if loop.index is divisibleby(2) %}{{ x }}{% endif %}{% endfor %}", "1"],
  ["{{ 4 is divisibleby(num=2) }}", "True"],
  ["{{ (1 is eq 1) is sameas true }}", "True"],
  ["{{ 'a' is in ['b', 'a' if 1 is eq 1 else 'c'] }}", "True"],
  ["{{ 5 is ge(4) }}{{ 5 is le 4 }}{{ 5 is ne 5 }}{{ 'x' is equalto 'x' }}", "TrueFalseFalseTrue"],
  ["{{ [1,2,3,4] | select('divisibleby', 2) | list }}", "[2, 4]"],
  [
    "{{ 1e3 }} {{ 1.5e-3 }} {{ 1E+2 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ -1e3 }} {{ 2 - 1e1 }} {{ 1e-7 }} {{ 1e22 }} {{ 1.0 }}",
    "1000.0 0.0015 100.0 1000 31 5 15 -1000.0 -8.0 1e-07 1e+22 1.0",
  ],
  ["{{ 1 if true else 2 }}{{ 1e3 if true else 2 }}", "11000.0"],
  ["{{ xs[0x1] }} {{ xs[1_0] }}", "1 "],
  ["{{ 0 }} {{ 00 }} {{ 1e400 }}", "0 0 inf"],
  ["{{ 12_34 + 1 }}", "1235"],
  ["{{ 1e3 | int }} {{ 1e3 is float }} {{ 1_000 is integer }}", "1000 True True"],
])("%j", (source, text) => {
  expect(run(source)).toBe(text);
});

test.each<[string, string]>([
  ["{% raw %}unended", "raw block does not end"],
  ["{{ 4 is divisibleby }}", "needs the argument 'num'"],
  ["{{ 4 is defined(1) }}", "takes 0 arguments"],
  ["{{ 4 is nope(1) }}", "no test named 'nope'"],
  ["{{ 4 is divisibleby(1, 2) }}", "takes 1 arguments"],
  ["{{ 3 is in (1, 3) }}", "takes 1 arguments"],
  ["{{ 3 is in xs | list }}", "not iterable"],
  ["{{ 1e }}", "cannot be parsed"],
  ["{{ 1_ }}", "cannot be parsed"],
  ["{{ 4 is in", "it cannot be parsed"],
  ["{{ 4 is in [", "it cannot be parsed"],
  ["{{ 4 is in x.", "it cannot be parsed"],
])("refuses %j", (source, message) => {
  expect(() => run(source)).toThrow(TemplateError);
  expect(() => run(source)).toThrow(message);
});

test("only a stack that overflows is nesting", () => {
  const overflow = (): number => 1 + overflow();
  const caught = [
    overflow,
    () => "a".repeat(2 ** 30),
    () => new Array(-1),
    () => String.fromCodePoint(-1),
  ].map((run) => {
    try {
      return run();
    } catch (cause) {
      return isStackOverflow(cause);
    }
  });
  expect(caught).toEqual([true, false, false, false]);
  expect(isStackOverflow(new Error("Maximum call stack size exceeded"))).toBe(false);
  expect(() => run(`{{ ${"(".repeat(50_000)}1${")".repeat(50_000)} }}`)).toThrow("it is nested too deeply");
});

test("what a test's argument reads counts as read, what stands in a raw block does not", () => {
  const body = parseTemplate("{% raw %}{{ a }}{% endraw %}{{ b is in c }}{{ d is sameas(e) }}");
  expect([...variablesRead(body)].sort()).toEqual(["b", "c", "d", "e"]);
});

test("operators are no variables", () => {
  const body = parseTemplate("{{ a and not b or c in d and e not in f }}{{ -g + h }}");
  expect([...variablesRead(body)].sort()).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
});

test("long sources are rewritten in time", () => {
  const long = `{% raw %}${"{{ '".repeat(50_000)}{% endraw %}{{ 1 }}${'{# " #}'.repeat(10_000)}`;
  expect(run(long)).toHaveLength(4 * 50_000 + 1);
  expect(() => run(`{{ ${"x is in [".repeat(2_000)}`)).toThrow(TemplateError);
});
