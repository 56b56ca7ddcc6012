// Contract: what is a generator, an iterator or a view in Jinja 3.1.6 is one here: true though empty, read once and no further than
// it is used, without a length. Loops read them so, too, and know their depth, changes and recursion.
import { expect, test } from "vitest";
import { renderTemplate, testRefusals, testTexts } from "../support/renderTemplate.js";

const variables = {
  messages: [
    { role: "system", content: "Sys" },
    { role: "user", content: "Hi" },
    { role: "user", content: "yo", n: 3 },
  ],
  xs: [3, 1, 2],
  ws: ["b", "A"],
  d: { b: 1, a: 2 },
  tree: [
    {
      n: "a",
      c: [
        { n: "b", c: [] },
        { n: "c", c: [{ n: "d" }] },
      ],
    },
    { n: "e" },
  ],
};

/** Expected texts are what Python printed. */
testTexts(variables, [
  [
    "{% if messages|selectattr('role','equalto','tool') %}yes{% else %}no{% endif %}{% if [] | map('upper') %}y{% endif %}{% if []|reverse %}y{% endif %}{% if []|batch(2) %}y{% endif %}{% if []|slice(2) %}y{% endif %}{% if []|unique %}y{% endif %}{% if {}|items %}y{% endif %}{% if []|sort %}y{% endif %}{% if {}|dictsort %}y{% endif %}{% if []|groupby('a') %}y{% endif %}",
    "yesyyyyyy",
  ],
  [
    "{% set u = messages|selectattr('role','equalto','user') %}{% for m in u %}1{% endfor %}{% for m in u %}2{% else %}-{% endfor %}",
    "11-",
  ],
  ["{% set u = xs|map('string') %}{{ u|first }}{{ u|first }}{{ u|list }}{{ u|list }}", "31['2'][]"],
  ["{% set u = xs|select %}{{ 3 in u }}{{ 3 in u }}{{ u|list }}", "TrueFalse[]"],
  ["{% set u = xs|map('string') %}{% for x in u %}{{ x }}{% break %}{% endfor %}|{{ u|join(',') }}", "3|1,2"],
  [
    "{% set u = xs|map('string') %}{% for x in u %}{{ x }}{{ loop.last }}{% break %}{% endfor %}|{{ u|join(',') }}",
    "3False|2",
  ],
  [
    "{% set u = xs|reject('odd') %}{% for x in u %}{{ loop.length }}{{ loop.revindex }}{% endfor %}{{ u|list }}",
    "11[]",
  ],
  [
    "{{ none|map('upper')|list }}{{ zz|select|list }}{{ none|rejectattr('a')|list }}{{ zz|items|list }}{{ zz|reverse|list }}",
    "[][][][][]",
  ],
  [
    "{{ xs|select is iterable }}{{ xs|select is sequence }}{{ xs|select is mapping }}{{ d.items() is sequence }}{{ range(2) is sequence }}{{ d.keys() is iterable }}",
    "TrueFalseFalseFalseTrueTrue",
  ],
  [
    "{{ (xs|select)[0] }}|{{ (xs|select).x }}|{{ d.items()[0] }}|{{ range(3)[-1] }}{{ range(5)[1:]|list }}",
    "|||2[1, 2, 3, 4]",
  ],
  [
    "{{ range(3) }}{{ range(1, 6, 2) }}{{ d.items() }}{{ d.keys() }}{{ d.values() }}{{ d.keys()|length }}{{ range(4)|length }}{% if {}.items() %}y{% endif %}{{ 'a' in d.keys() }}{{ range(2) == [0, 1] }}{{ range(2) == range(0, 2) }}",
    "range(0, 3)range(1, 6, 2)dict_items([('b', 1), ('a', 2)])dict_keys(['b', 'a'])dict_values([1, 2])24TrueFalseTrue",
  ],
  [
    "{{ xs|reverse|list }}{{ xs|select|reverse }}{{ 'ab'|reverse }}{{ d|reverse|list }}{{ range(3)|reverse|first }}",
    "[2, 1, 3][2, 1, 3]ba['a', 'b']2",
  ],
  [
    "{{ [1,2,3,4,5]|slice(3,'x')|list }}{{ [1,2,3,4]|slice(2,'x')|list }}{{ [1,2,3]|batch(2,'y')|list }}{{ [1,2,3]|batch(2)|map('length')|list }}",
    "[[1, 2], [3, 4], [5, 'x']][[1, 2, 'x'], [3, 4, 'x']][[1, 2], [3, 'y']][2, 1]",
  ],
  [
    "{% set ns = namespace(n=0) %}{% for x in [1,2,3,4] if ns.n < 2 %}{% set ns.n = ns.n + 1 %}{{ x }}{% endfor %}",
    "12",
  ],
  [
    "{% set ns = namespace(g=xs|select) %}{% set a, b, c = ns.g %}{{ a }}{{ b }}{{ c }}{{ ns.g|list }}",
    "312[]",
  ],
  [
    "{{ (messages|map(attribute='role')|unique|list) }}{{ ws|map('lower')|sort }}{{ xs|select('gt', 1)|sum }}{{ xs|map('string')|join('-') }}{{ '-'.join(xs|map('string')) }}{{ xs|reject('gt', 1)|max }}",
    "['system', 'user']['a', 'b']53-1-23-1-21",
  ],
  [
    "{% macro f() %}{{ varargs|length }}{{ varargs }}{% endmacro %}{{ f(*(xs|select('gt', 1))) }}{{ dict(d|items) }}",
    "2(3, 2){'b': 1, 'a': 2}",
  ],
  [
    "{% for g in messages|groupby('role') %}{{ g.grouper }}:{{ g.list|length }}{{ g['grouper'] }}{{ g[0] }};{% endfor %}{% for k, v in messages|groupby('role') %}{{ k }}{{ v|length }}{% endfor %}{{ messages|groupby('role')|length }}",
    "system:1systemsystem;user:2useruser;system1user22",
  ],
  [
    "{% for x in xs %}{{ loop.depth }}{{ loop.depth0 }}{% for y in xs %}{{ loop.depth }}{% endfor %}{% endfor %}",
    "101111011110111",
  ],
  [
    "{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }}{% endfor %}{% for x in [1,1] %}{{ loop.changed() }}{{ loop.changed(x, 2) }}{% endfor %}",
    "TrueFalseTrueFalseTrueTrueTrueTrueTrue",
  ],
  [
    "{% for t in tree recursive %}{{ t.n }}{{ loop.depth }}{{ loop.index }}{% if t.c %}({{ loop(t.c) }}){% endif %}{% else %}none{% endfor %}",
    "a11(b21c22(d31))e12",
  ],
  [
    "{% for t in tree if t.n != 'e' recursive %}{{ t.n }}{{ loop(t.c|default([])) }}{% else %}-{% endfor %}",
    "ab-cd-",
  ],
  [
    "{% for x in xs|map('string') %}{{ loop.previtem }}{{ x }}{{ loop.nextitem }}{{ loop.first }}{{ loop.last }} {% endfor %}",
    "31TrueFalse 312FalseFalse 12FalseTrue ",
  ],
  [
    "{% for k, v in d|items %}{{ k }}{{ v }}{{ loop.length }}{% endfor %}{% for k, v in d.items()|list %}{{ k }}{% endfor %}{% for k in d.keys()|sort %}{{ k }}{% endfor %}",
    "b12a22baab",
  ],
  [
    "{% set g = xs|select %}{{ g == g }}{{ g == xs }}{{ g is sameas g }}{{ g|default('x')|list }}",
    "TrueFalseTrue[3, 1, 2]",
  ],
]);

testRefusals(variables, [
  ["{{ (xs|select)|length }}", "object of type 'generator' has no len()"],
  ["{{ xs|map('upper') }}", "the text of a generator is an address"],
  ["{{ 'a' ~ (xs|reverse) }}", "the text of a list_reverseiterator is an address"],
  ["{{ xs|map('upper')|tojson }}", "Object of type generator is not JSON serializable"],
  ["{{ d.items()|tojson }}", "Object of type dict_items is not JSON serializable"],
  ["{{ range(2)|tojson }}", "Object of type range is not JSON serializable"],
  ["{{ (xs|select)[1:] }}", "'generator' object cannot be sliced"],
  ["{{ xs|select|last }}", "a generator is not reversible"],
  ["{{ (xs|select) + [1] }}", "the operator + does not take generator and list"],
  ["{{ d.keys() + [1] }}", "the operator + does not take dict_keys"],
  ["{{ range(3) + [3] }}", "the operator + does not take range and list"],
  ["{{ xs|map('nope')|list }}", "no filter named 'nope'"],
  ["{{ 3|select|list }}", "'int' object is not iterable"],
  ["{{ none|reverse }}", "'NoneType' object is not iterable"],
  ["{% for x in xs %}{{ loop(xs) }}{% endfor %}", "the loop needs the word 'recursive'"],
]);

/** Each would make millions of items or run for minutes. */
test.each<string>([
  "{% set n = namespace(g=range(99999)) %}{% for i in range(1000) %}{% set n.g = n.g|map('string') %}{% endfor %}{{ n.g|list }}",
  "{% set n = namespace(g=xs) %}{% for i in range(90000) %}{% set n.g = n.g|select %}{% endfor %}{{ n.g|list }}",
  "{% for i in range(1000) %}{{ range(99999)|select('gt', 99998)|first }}{% endfor %}",
  "{{ [1]|slice(1000000000)|list }}",
  "{{ [1]|batch(1000000000, 0)|list }}",
  "{% for i in range(99) %}{{ range(99999)|unique|list|length }}{% endfor %}",
  "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
  "{% for x in [1, 2] recursive %}{% if loop.depth < 40 %}{{ loop([1, 2]) }}{% endif %}{% endfor %}",
])("is bounded: %s", (source) => {
  expect(() => renderTemplate(source, variables)).toThrow(/more than|Maximum call stack/);
});
