// Contract: line ends, white space around tags, strings, chained comparisons, `~`, `with`, `generation`, filters of blocks and
// tuples are read as Jinja 3.1.6 reads them with the settings of transformers; the parser, @huggingface/jinja, reads them otherwise.
import { expect, test } from "vitest";
import { renderTemplate, testRefusals, testTexts } from "../support/renderTemplate.js";

const variables = { xs: [3, 1, 2] };

/** Expected texts are what Python printed. */
testTexts(variables, [
  ["{% if true %}\r\nA\r\n{% endif %}\r\nB\r\n", "A\nB"],
  ["a\rb\r\n\r\nc\r", "a\nb\n\nc"],
  ["{{ 'a\r\nb'|length }}{{ 'a\\r\\nb'|length }}", "34"],
  ["a\n\n", "a\n"],
  ["  {-1}\n  {% if 1 %}x{% endif %}", "  {-1}\nx"],
  ["{a-}\nb#}\nc%}\nd", "{a-}\nb#}\nc%}\nd"],
  ["{{ '{% if %}\n  {# x #}\n {% generation %}' }}", "{% if %}\n  {# x #}\n {% generation %}"],
  ["\u2028{% if 1 %}a{% endif %}|\u00a0\u000b{# c #}b", "a|\u00a0\u000bb"],
  ["x\n\u00a0\u000b\u2028\u001c{% if 1 %}a{% endif %}", "x\na"],
  ["x\u2028 {% if 1 %}a{% endif %}", "x\u2028 a"],
  ["a \ufeff\n{%- if 1 -%}\ufeff b{% endif %}", "a \ufeff\ufeff b"],
  ["a \u001c\u0085{{- 1 -}}\u001f b", "a1b"],
  ["  {%+ if 1 %}\n  a\n  {%+ endif %}b", "    a\n  b"],
  ["{% if 1 +%}\n a{% endif %}", "\n a"],
  ["x\n  {%- if 1 +%}\n a{% endif %}", "x\n a"],
  ["  {#+ c #}b{#- c +#}\nd", "  b\nd"],
  ["{{+1}} {{+ 1 }}", "1 1"],
  ["  {% generation %}\n  {% set q = 1 %}a\n{% endgeneration %}\n{{ q is defined }}", "a\nFalse"],
  ["{{ '\\q\\0\\101\\x41\\u0042\\U0001f600\\a' }}{{ 'a\\\nb' }}", "\\q\u0000AAB\ud83d\ude00\u0007ab"],
  ["{{ 'it\\'s' \"a\" 'b' }}", "it'sab"],
  [
    "{{ 1 < 3 < 2 }} {{ 1 < 2 < 3 }} {{ 3 > 2 == true }} {{ 1 == 1 == 1 }} {{ (1 < 3) < 2 }} {{ 3 > (2 == true) }} {{ (3 > 2) == true }}",
    "False True False True True True True",
  ],
  [
    "{{ 1 in xs == true }} {{ (1 in xs) == true }} {{ 1 not in xs == false }} {{ 2 > 1 in [1] in [[1]] }} {{ not 1 in xs }}",
    "False True False True False",
  ],
  [
    "{% macro f(x) %}{% set c.n = c.n + 1 %}{% endmacro %}{% set c = namespace(n=0) %}{{ 0 < f(1)|length < 1 < zz.y }}{{ c.n }}{{ [1 < 3 < 2, (1) < (3) < (2)] }}",
    "False1[False, False]",
  ],
  ["{{ xs[1 if 1 < 3 < 2 else 0] }}{{ 'y' if 3 > 2 > 1 and 1 < 2 > 1 else 'n' }}", "3y"],
  [
    "{{ 'x' + 1 ~ 'a' ~ 'b' + 'c' }} {{ 1 + 2 - 3 }} {{ 5 - (1 ~ 2)|int }} {{ (1 + 2) ~ 3 }} {{ 1 ~ 2 * 3 ~ -1 }}",
    "x1abc 0 -7 33 16-1",
  ],
  ["{% with a=1, b=2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "12"],
  [
    "{% set a = 5 %}{% with a=1, b=a %}{{ a }}{{ b }}{% with %}{% set a = 7 %}{{ a }}{% endwith %}{{ a }}{% endwith %}",
    "1571",
  ],
  [
    "{% for x in xs %}{% with y = x %}{% if y == 1 %}{% continue %}{% endif %}{{ y }}{{ loop.index }}{% endwith %}{% endfor %}",
    "3123",
  ],
  [
    "{{ () }} {{ (1,) }} {{ (1, 2,) }} {{ ()|length }} {{ [(), ((),)] }} {{ dict(a=1,) }} {% for x in () %}{% else %}e{% endfor %}{% if () %}{% else %}n{% endif %}",
    "() (1,) (1, 2) 0 [(), ((),)] {'a': 1} en",
  ],
  ["{% filter upper|trim|replace('A', 'b') %} a{% filter lower %}C{% endfilter %} {% endfilter %}|", "bC|"],
  [
    "{% set x | upper | trim %} a{% set y = '=' %}{{ y }}{% set z %}z{% endset %}{{ z }} {% endset %}{{ x }}|",
    "A=Z|",
  ],
]);

testRefusals({}, [
  ["{{ 1 + 2 ~ 3 }}", "the operator + does not take int and str"],
  ["{{ 1 < 'a' < 2 }}", "not supported between instances of 'int' and 'str'"],
  ["{{ '\\x4' }}", "the escape"],
  ["{{ '\\N{BULLET}' }}", "the escape"],
  ["{{ 'a", "a string does not end"],
  ["{# a", "a comment does not end"],
  ["{{ (1 }}", "it ends inside a block or an expression"],
  ["{% with 1 %}{% endwith %}", "with: expected names and values"],
  ["{% filter upper | %}{% endfilter %}", "cannot be parsed"],
  ["{% endset %}", "cannot be parsed"],
]);

test("long templates are read in linear time", () => {
  const many = 20_000;
  expect(renderTemplate("{% if 1 %}a{% endif %}\n".repeat(many))).toHaveLength(many);
  expect(renderTemplate(`{{ ${"1 + ".repeat(2_000)}1 }}`)).toBe("2001");
  expect(renderTemplate(" ".repeat(many * 10) + "{{- 1 }}")).toBe("1");
});
