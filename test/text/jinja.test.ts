// Contract: templates render as Jinja renders them for transformers, and whatever a template does, its sizes are bounded.
import { expect, test } from "vitest";
import { render } from "../../lib/text/jinja/interpreter.js";
import { valueOf } from "../../lib/text/jinja/json.js";
import { parseTemplate } from "../../lib/text/jinja/syntax.js";
import { TemplateError, type Value } from "../../lib/text/jinja/values.js";

const tool = { name: "add", description: "<adds> & 'quotes' ü", parameters: { b: [2.5, null], a: true } };
const variables = {
  user: { role: "user", content: "hi", tool_calls: null },
  tool,
  xs: [3, 1, 2],
  people: [
    { name: "Wren", age: 3, pet: { kind: "cat" } },
    { name: "ada", age: 9 },
  ],
  empty: [],
  nothing: null,
  emoji: "a😀b",
};
const now = new Date(2024, 6, 3, 9, 5, 7);
const run = (source: string): string => {
  const values = Object.entries(variables).map(([name, value]): [string, Value] => [
    name,
    valueOf(value, name),
  ]);
  return render(parseTemplate(source), new Map(values), { now });
};

/** Expected texts are those of Jinja 3.1.6 with the settings of transformers. */
test.each<[string, string]>([
  // texts of values
  ["{{ true }} {{ none }} {{ 1.0 }} {{ 1 if false }} {{ missing }}|", "True None 1.0  |"],
  [
    "{{ [1, 'a', 2.5, None, True, (1, 2), {'k': \"it's\"}] }}",
    "[1, 'a', 2.5, None, True, (1, 2), {'k': \"it's\"}]",
  ],
  ["{{ 'a' ~ nothing ~ 1.5 ~ missing ~ [1] }}", "aNone1.5[1]"],
  [
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 3 }} {{ 2 ** -1 }}",
    "3 -4 2 3.5 3.0 8 0.5",
  ],
  [
    "{{ 'ab' * 3 }}{{ [0] * 2 }}{{ 1 == 1.0 }}{{ 1 == true }}{{ [1] == [1.0] }}{{ '1' == 1 }}",
    "ababab[0, 0]TrueTrueTrueFalse",
  ],
  ["{{ 1 in xs }}{{ 'i' in user.content }}{{ 'role' in user }}{{ 'x' not in missing }}", "TrueTrueTrueTrue"],
  // lookups
  [
    "{{ user.role }}{{ user['role'] }}{{ user.nope }}{{ user.tool_calls }}{{ user.get('x', 'd') }}",
    "useruserNoned",
  ],
  [
    "{{ xs[0] }}{{ xs[-1] }}{{ xs[9] }}{{ xs[::-1] }}{{ xs[1:] }}{{ emoji[1] }}{{ emoji | length }}",
    "32[2, 1, 3][1, 2]😀3",
  ],
  ["{% for k, v in tool.parameters.items() %}{{ k }}={{ v }};{% endfor %}", "b=[2.5, None];a=True;"],
  [
    "{{ 'a</think>\n\nb'.split('</think>')[-1].lstrip('\n') }}{{ ' a  b '.split() }}{{ 'a,b,c'.rsplit(',', 1) }}",
    "b['a', 'b']['a,b', 'c']",
  ],
  // JSON as transformers writes it
  ["{{ tool | tojson }}", JSON.stringify(tool).replace(/([:,])(?=["[{nt\d])/g, "$1 ")],
  ["{{ {'a': [1, {}], 'b': []} | tojson(indent=2) }}", '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}'],
  [
    "{{ {'b': 'ü', 'a': 1.0} | tojson(ensure_ascii=True, separators=(',', ':'), sort_keys=True) }}",
    '{"a":1.0,"b":"\\u00fc"}',
  ],
  ["{{ ('{\"a\": [1, 2.5]}' | fromjson).a }}", "[1, 2.5]"],
  // statements
  [
    "{% for i in range(5) %}{% if i == 1 %}x{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "0x2",
  ],
  [
    "{% set n = namespace(i=0) %}{% for x in xs %}{% set n.i = n.i + x %}{% set y = x %}{% endfor %}{{ n.i }}{{ y }}",
    "6",
  ],
  [
    "{% for x in xs if x > 1 %}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% else %}none{% endfor %}",
    "1/2False 2/2True ",
  ],
  ["{% for x in empty %}x{% else %}none{% endfor %}", "none"],
  // "else" belongs to a loop of which no turn came to its end
  ["{% for x in [1] %}{{ x }}{% break %}{% else %}none{% endfor %}", "1none"],
  ["{% for x in [1, 2] %}{{ x }}{% continue %}{% else %}none{% endfor %}", "12none"],
  ["{% for x in [1, 2] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% else %}none{% endfor %}", "1"],
  ["{% for x in [1, 2] %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% else %}none{% endfor %}", "2"],
  ["{% for x in [1, 2] if x == 2 %}{% continue %}{% else %}none{% endfor %}", "none"],
  ["{% macro f() %}{{ kwargs | list }}{% endmacro %}{% call f() %}x{% endcall %}", "['caller']"],
  ["{% macro f(caller=1) %}{{ caller }}{% endmacro %}{{ f() }}", "1"],
  [
    "{% macro f(a, b=2) %}{{ a }}-{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1) }} {{ f(1, 3, 4, k=5) }}",
    "1-2(){} 1-3(4,){'k': 5}",
  ],
  ["{% macro f() %}<{{ caller('x') }}>{% endmacro %}{% call(a) f() %}{{ a }}y{% endcall %}", "<xy>"],
  ["{% set t %}a{{ 1 }}{% endset %}{% filter upper %}{{ t }}b{% endfilter %}", "A1B"],
  ["{% generation %}{{ user.content }}{% endgeneration %}", "hi"],
  ["  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"],
  // filters and tests
  [
    "{{ people | map(attribute='name') | join(', ') }}{{ people | map(attribute='pet.kind', default='-') | list }}",
    "Wren, ada['cat', '-']",
  ],
  [
    "{{ people | selectattr('age', 'gt', 5) | map(attribute='name') | first }}{{ people | rejectattr('pet') | list | length }}",
    "ada1",
  ],
  [
    "{{ people | sort(attribute='name') | map(attribute='name') | list }}{{ xs | sort(reverse=true) }}",
    "['ada', 'Wren'][3, 2, 1]",
  ],
  [
    "{{ '  a b ' | trim | title }}{{ 'x\ny' | indent(2, true) }}{{ missing | default('d') }}{{ '' | default('e', true) }}",
    "A B  x\n  yde",
  ],
  [
    "{{ '%s is %05.1f, %d%%' | format('x', 2, 3) }}{{ '%-4s|%x' % ('a', 255) }}{{ '{:>4}{}'.format('b', 1) }}",
    "x is 002.0, 3%a   |ff   b1",
  ],
  [
    "{{ tool.parameters | dictsort }}{{ xs | sum }}{{ xs | max }}{{ [1, 1, 2] | unique | list }}",
    "[('a', True), ('b', [2.5, None])]63[1, 2]",
  ],
  [
    "{{ xs is iterable }}{{ xs is mapping }}{{ user is mapping }}{{ nothing is none }}{{ 'a' is string }}{{ x is defined }}",
    "TrueFalseTrueTrueTrueFalse",
  ],
  [
    "{{ strftime_now('%a %A %b %B %d %-d %e %H %I %p %M %S %j %y %Y %m %w %u %U %W %V %F %T %D %c %%') }}",
    "Wed Wednesday Jul July 03 3  3 09 09 AM 05 07 185 24 2024 07 3 3 26 27 27 2024-07-03 09:05:07 07/03/24 Wed Jul  3 09:05:07 2024 %",
  ],
])("%s", (source, expected) => {
  expect(run(source)).toBe(expected);
});

test.each<[string, string]>([
  ["{{ raise_exception('roles must alternate') }}", "roles must alternate"],
  ["{{ 'a' + user.tool_calls }}", "the operator + does not take str and NoneType (user.tool_calls)"],
  ["{{ 'a' + user.name }}", "'user.name' is undefined"],
  ["{{ missing.x }}", "'missing' is undefined"],
  ["{{ user.content.nope() }}", "'user.content.nope' is undefined"],
  ["{{ xs | nope }}", "no filter named 'nope'"],
  [
    "{% macro f(a) %}{{ a }}{% endmacro %}{% call f(1) %}x{% endcall %}",
    "takes no keyword argument 'caller'",
  ],
  ["{{ xs is nope }}", "no test named 'nope'"],
  ["{{ xs.append(1) }}", "would change a list"],
  ["{% set user.role = 'x' %}", "only the fields of a namespace"],
  ["{{ missing | tojson }}", "Undefined is not JSON serializable"],
  ["{% for a, b in [[1, 2, 3]] %}{% endfor %}", "expected 2 values to unpack, got 3"],
  ["{{ 1 / 0 }}", "division by zero"],
  ["{% for x in xs %}", "cannot be parsed: it ends inside a block"],
  ["{% for %}", "cannot be parsed"],
  ["{{ 2 ** 64 }}", "beyond 2^53"],
  // nothing of JavaScript can be reached
  ["{{ ''.constructor.constructor('return process')() }}", "no attribute 'constructor'"],
  ["{{ namespace.constructor('x') }}", "'namespace.constructor' is undefined"],
  ["{{ user.__proto__.x }}{{ xs.__proto__.x }}", "is undefined"],
  [
    "{% set ns = namespace(__proto__=5) %}{{ ns['__proto__'] }}{{ ns.constructor.name }}",
    "'ns.constructor' is undefined",
  ],
])("fails: %s", (source, part) => {
  expect(() => run(source)).toThrow(TemplateError);
  expect(() => run(source)).toThrow(part);
});

const doubling = (times: number, seed = "'a '"): string =>
  `{% set n = namespace(x=${seed}) %}{% for i in range(${times}) %}{% set n.x = n.x + n.x %}{% endfor %}`;

/** Each would make hundreds of megabytes or run for minutes. */
test.each<string>([
  doubling(40),
  doubling(40, "[1]"),
  `${doubling(22)}{% for i in range(99) %}{{ (n.x ~ i) | upper | length }}{% endfor %}`,
  `${doubling(22)}{{ n.x.split(' ') | length }}`,
  `${doubling(22)}{{ n.x | list | length }}`,
  `${doubling(20)}{{ n.x.replace('a', n.x) }}`,
  `${doubling(20)}{{ n.x | replace(' ', n.x) }}`,
  `${doubling(15)}{{ n.x.join(range(99999) | map('string')) }}`,
  `${doubling(18)}{{ n.x | join(n.x) }}`,
  "{{ 'a' * 1000000000 }}",
  "{{ [1] * 1000000000 }}",
  "{{ range(1000000000) }}",
  "{{ '\n\n' | indent(1000000000) }}",
  "{{ 'a' | center(1000000000) }}{{ 'a'.ljust(1000000000) }}",
  "{{ '%1000000000d' % 1 }}",
  "{{ '%.1000000000f' % 1 }}",
  "{{ '{:1000000000}'.format(1) }}",
  "{{ [1] | tojson(indent=1000000000) }}",
  "{{ 'a'.zfill(1000000000) }}",
  "{{ [1] | batch(1000000000, 0) | list }}{{ [1] | slice(1000000000) | list }}",
  "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
  "{% set n = namespace(x=[1]) %}{% for i in range(64) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
  "{% set n = namespace(x=[1]) %}{% for i in range(64) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}",
  "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(64) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
  "{% macro m(x) %}{{ m(x + x) }}{% endmacro %}{{ m('a') }}",
  "{% macro m(i) %}{% if i > 0 %}{{ m(i - 1) }}{{ m(i - 1) }}{% endif %}{% endmacro %}{{ m(100) }}",
])("is bounded: %s", (source) => {
  expect(() => run(source)).toThrow(/more than|at most|Maximum call stack/);
});

test.each<string>(["(", "[", "{% if 1 %}", "not ", "-"])("deep nesting is an error: %s", (open) => {
  const source = open.startsWith("{%") ? open.repeat(50_000) : `{{ ${open.repeat(50_000)}`;
  expect(() => run(source)).toThrow(TemplateError);
});
