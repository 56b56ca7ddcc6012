// Contract: numbers are rounded, formatted and compared, and texts laid out, as Python does it behind Jinja 3.1.6; what a number of
// JavaScript cannot hold is an error.
import { describe, expect, test } from "vitest";
import { renderTemplate, testRefusals, testTexts } from "../support/renderTemplate.js";

const variables = {
  xs: [3, 1, 2],
  e: "a\u{1f600}b",
  ...{
    big: 12345678901234567890n,
    same: 18446744073709551616n,
    max: 9223372036854775807n,
    neg: -9223372036854775807n,
  },
  json: '{"id": 12345678901234567890, "max": 9223372036854775807, "a": [1.0, 1e3, -0.0, 5, 1E-7, 0.1], "s": "12345678901234567890 1.0"}',
};

/** Expected texts are what Python printed. */
testTexts(variables, [
  [
    "{{ 2.5|round }} {{ 3.5|round }} {{ -2.5|round }} {{ 2.675|round(2) }} {{ 1.005|round(2) }} {{ 0.5|round }} {{ -0.4|round }}",
    "2.0 4.0 -2.0 2.67 1.0 0.0 -0.0",
  ],
  [
    "{{ 1234|round(-2) }} {{ 1250|round(-2) }} {{ 1350|round(-2) }} {{ -1250|round(-2) }} {{ 1234.5|round(-2) }} {{ 5|round(2) }} {{ true|round }} {{ 49|round(-3) }} {{ 1.5|round(-400) }} {{ 7|round(-400) }}",
    "1200 1200 1400 -1200 1200.0 5 1 0 0.0 0",
  ],
  [
    "{{ 1.5|round(400) }} {{ 1e300|round(5) }} {{ 5e-324|round(323) }} {{ 1e22|round(-22) }} {{ 0.1|round(20) }} {{ 123456.789|round(1) }}",
    "1.5 1e+300 0.0 1e+22 0.1 123456.8",
  ],
  [
    "{{ 2.1|round(0, 'ceil') }} {{ 2.19|round(1, 'floor') }} {{ 1234|round(-2, 'ceil') }} {{ -2.5|round(method='floor') }} {{ 5|round(1, 'ceil') }}",
    "3.0 2.1 1300.0 -3.0 5.0",
  ],
  [
    "{{ '%.0f' % 0.5 }} {{ '%.0f' % 1.5 }} {{ '%.1f' % 0.25 }} {{ '%.2f' % 2.675 }} {{ '%.1e' % 12500.0 }} {{ '%.1e' % 13500.0 }} {{ '{:.1f}'.format(2.25) }} {{ '%f' % 1e22 }} {{ '%.1f' % -0.0 }}",
    "0 2 0.2 2.67 1.2e+04 1.4e+04 2.2 10000000000000000000000.000000 -0.0",
  ],
  [
    "{{ '%g' % 1234567.0 }} {{ '%g' % 0.0001 }} {{ '%g' % 0.00001 }} {{ '%g' % 100000 }} {{ '%g' % 1000000 }} {{ '%.3g' % 1234.5 }} {{ '%G' % 1e-10 }} {{ '{:g}'.format(1.0) }} {{ '%g' % 0 }} {{ '%E' % 12345.678 }} {{ '%g' % 2.5e-5 }} {{ '%.1g' % 0.25 }}",
    "1.23457e+06 0.0001 1e-05 100000 1e+06 1.23e+03 1E-10 1 0 1.234568E+04 2.5e-05 0.2",
  ],
  [
    "{{ '%#x' % 255 }} {{ '%#o' % 8 }} {{ '%#06x' % 255 }} {{ '{:#x}'.format(255) }} {{ '{:#b}'.format(5) }} {{ '{:#010x}'.format(255) }} {{ '%x' % -255 }} {{ '%#x' % -255 }} {{ '%#X' % 255 }}",
    "0xff 0o10 0x00ff 0xff 0b101 0x000000ff -ff -0xff 0XFF",
  ],
  [
    "{{ '{:d}'.format(true) }} {{ '{:5}|'.format(true) }} {{ '{}'.format(true) }} {{ '{:.2}'.format(3.14159) }} {{ '{:.2}'.format(10.0) }} {{ '{:.3}'.format(1.0) }} {{ '{:.1%}'.format(0.256) }} {{ '{:e}'.format(12345.6) }} {{ '{:05d}'.format(-42) }} {{ '{:^5}|'.format('ab') }} {{ '{:^5}|'.format(12) }}",
    "1     1| True 3.1 1e+01 1.0 25.6% 1.234560e+04 -0042  ab  |  12  |",
  ],
  [
    "{{ \"they're bill's o-k (x [y {z <w\"|title }} {{ \"they're\".title() }} {{ '\u00df'|title }} {{ '\u00dfa'.capitalize() }} {{ '\u01c6x'|capitalize }} {{ '\ufb01x'.title() }} {{ 'hELLO wORLD'|title }} {{ '1st x2y'|title }}",
    "They're Bill's O-K (X [Y {Z <W They'Re SS Ssa \u01c5x Fix Hello World 1st X2y",
  ],
  [
    "{{ 'ab'.center(5) }}|{{ 'abc'.center(6) }}|{{ 'abc'.center(8, '*') }}|{{ 'a'|center(4) }}|{{ 'ab'|center(5) }}|{{ e.center(6, '\ud83d\ude00') }}|{{ e.ljust(5) }}|{{ e.rjust(5, '-') }}|{{ '%5s' % e }}|{{ '-1'.zfill(4) }}",
    "  ab | abc  |**abc***| a  |  ab |\ud83d\ude00a\ud83d\ude00b\ud83d\ude00\ud83d\ude00|a\ud83d\ude00b  |--a\ud83d\ude00b|  a\ud83d\ude00b|-001",
  ],
  [
    "{{ {1:'a'}[true] }}{{ {1:'a'}[1.0] }}{{ {true:'a'}[1] }}{{ {0:'z'}.get(false) }}{{ true in {1:2} }}{{ {1:'a', true:'b', 1.0:'c'} }}{{ {true: 4}|tojson }}{{ dict([(1, 2), (true, 3)]) }}{{ 2 in {1: 1} }}",
    "aaazTrue{1: 'c'}{\"true\": 4}{1: 3}False",
  ],
  [
    "{{ 'a\\r\\nb\\rc'|indent(2) }}|{{ 'a\\n'|indent(2) }}|{{ ''|indent(2, true) }}|{{ 'a\\u2028b\\n\\nc'|indent('>', blank=true) }}",
    "a\n  b\n  c|a\n|  |a\n>b\n>\n>c",
  ],
  [
    "{{ '\u00df'.casefold() }}{{ '\u0391\u03a3'.casefold() }}{{ '\u0131'.casefold() }}{{ '\ufb01X'.casefold() }}",
    "ss\u03b1\u03c3\u0131fix",
  ],
  [
    "{{ 'hello big-world foo'|wordwrap(7) }}|{{ 'a  b   c'|wordwrap(3) }}|{{ '  lead word'|wordwrap(6) }}|{{ 'abcdefghij kl'|wordwrap(4) }}|{{ 'abcdefghij kl'|wordwrap(4, false) }}|{{ 'x--y well-known-thing-here'|wordwrap(6) }}|{{ 'hello 123456789'|wordwrap(6) }}|{{ 'a\\n\\nb c'|wordwrap(1, wrapstring='/') }}|{{ 'well-known'|wordwrap(6, break_on_hyphens=false) }}|{{ 'aa-bb-cc-dd'|wordwrap(4) }}",
    "hello\nbig-\nworld\nfoo|a\nb\nc|  lead\nword|abcd\nefgh\nij\nkl|abcdefghij\nkl|x--y\nwell-\nknown-\nthing-\nhere|hello \n123456\n789|a//b/c|well-k\nnown|aa-\nbb-\ncc-\ndd",
  ],
  [
    "{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ 'abc'.startswith(('x', 'b'), 1) }}{{ 'abc'.startswith('', 4) }}{{ 'abc'.startswith('', 3) }}{{ e.startswith('b', 2) }}{{ 'abc'.endswith('c', -1) }}{{ 'abc'.startswith('a', -9) }}",
    "TrueTrueTrueFalseTrueTrueTrueTrue",
  ],
  [
    "{{ 'abcabc'.find('b', 2) }}{{ e.find('b', 2) }}{{ 'abcabc'.rfind('b', 0, 4) }}{{ 'abcabc'.find('c', 0, 2) }}{{ 'abcabc'.count('b', 2) }}{{ 'abc'.count('', 1) }}{{ 'abc'.find('', 4) }}{{ 'abc'.index('c', -1) }}",
    "421-113-12",
  ],
  [
    "{{ 'Ab Cd'.istitle() }}{{ 'AB'.istitle() }}{{ ''.istitle() }}{{ 'a_1'.isidentifier() }}{{ 'upper' is filter }}{{ 'nope' is filter }}{{ 'odd' is test }}{{ 'nope' is not filter }}",
    "TrueFalseFalseTrueTrueFalseTrueTrue",
  ],
  [
    "{{ '<b>x</b>  y <!-- <c> -->z &lt;&amp;&#65;&#x42;'|striptags }}|{{ 'a < b'|striptags }}|{{ 'a b/c?d=\u00e9!~\\'()*'|urlencode }}|{{ {'a b': 1, 'c/': 'd&'}|urlencode }}|{{ [('x', 2)]|urlencode }}|{{ 5|urlencode }}|{{ '<a>'|forceescape }}",
    "x y z <&AB|a < b|a%20b/c%3Fd%3D%C3%A9%21~%27%28%29%2A|a+b=1&c%2F=d%26|x=2|5|&lt;a&gt;",
  ],
  [
    "{{ 9007199254740991 }} {{ 100000000000000000000 }} {{ 0x1FFFFFFFFFFFFF }} {{ '9007199254740992'|int }} {{ '12'|int }}",
    "9007199254740991 100000000000000000000 9007199254740991 9007199254740992 12",
  ],
  [
    "{{ e|truncate(3, true, '', 0) }}|{{ 'hello big world'|truncate(9) }}|{{ (e ~ e ~ e)|truncate(5, true, '\u2026', 0) }}",
    "a\ud83d\ude00b|hello...|a\ud83d\ude00ba\u2026",
  ],
]);

describe("whole numbers that a number of JavaScript cannot hold", () => {
  testTexts(variables, [
    [
      "{{ big }} {{ same }} {{ [max, -neg] }} {{ {'a': neg} }}",
      "12345678901234567890 18446744073709551616 [9223372036854775807, 9223372036854775807] {'a': -9223372036854775807}",
    ],
    [
      "{{ {'maximum': max} | tojson }} {{ max | string }} {{ max ~ '' }} {{ '%s %d' % (max, max) }} {{ '{} {:>21}|'.format(max, max) }}",
      '{"maximum": 9223372036854775807} 9223372036854775807 9223372036854775807 9223372036854775807 9223372036854775807 9223372036854775807   9223372036854775807|',
    ],
    [
      "{{ max == max }} {{ max == big }} {{ max < big }} {{ neg < 0 }} {{ max > 1.5 }} {{ [big, neg, max, 1] | sort }} {{ max in [max] }} {{ {max: 1}[max] }}",
      "True False True True True [-9223372036854775807, 1, 9223372036854775807, 12345678901234567890] True 1",
    ],
    [
      "{{ max is integer }} {{ max is number }} {{ max is float }} {{ max is odd }} {{ big is even }} {{ big is divisibleby 10 }} {{ 'y' if max else 'n' }} {{ not max }} {{ max | int }} {{ max | float }} {{ neg | abs }}",
      "True True False True True True y False 9223372036854775807 9.223372036854776e+18 9223372036854775807",
    ],
    [
      "{{ json | fromjson }}",
      "{'id': 12345678901234567890, 'max': 9223372036854775807, 'a': [1.0, 1000.0, -0.0, 5, 1e-07, 0.1], 's': '12345678901234567890 1.0'}",
    ],
    [
      "{{ (json | fromjson) | tojson }}",
      '{"id": 12345678901234567890, "max": 9223372036854775807, "a": [1.0, 1000.0, -0.0, 5, 1e-07, 0.1], "s": "12345678901234567890 1.0"}',
    ],
  ]);
  testRefusals(variables, [
    ["{{ max + 1 }}", "beyond 2^53"],
    ["{{ 2 * big }}", "beyond 2^53"],
    ["{{ [1] * big }}", "beyond 2^53"],
  ]);
  test.each([9223372036854775807, 2 ** 53, -(2 ** 60), 1e300])(
    "%d, of which nobody knows which was meant",
    (n) => {
      expect(() => renderTemplate("{{ tools[0].a.max }}", { tools: [{ a: { max: n } }] })).toThrow(
        `tools[0].a.max: ${n} is beyond 2^53, where numbers of JavaScript are rounded: give a bigint or a string`,
      );
    },
  );
  test("what they are near is what it was", () => {
    const xs = [2 ** 53 - 1, -(2 ** 53 - 1), 1e-300, Infinity, 0.5, BigInt(2 ** 53)];
    expect(renderTemplate("{{ xs }}", { xs })).toBe(
      "[9007199254740991, -9007199254740991, 1e-300, inf, 0.5, 9007199254740992]",
    );
  });
});

describe("formats and division by floats", () => {
  testTexts(variables, [
    [
      "{{ '%.3s|%5.2s|' % (e ~ 'c', e) }} {{ '{:.2}|{:5.2}|'.format(e, e) }} {{ '%e' % -0.0 }} {{ '{:e}'.format(-0.0) }}",
      "a😀b|   a😀| a😀|a😀   | -0.000000e+00 -0.000000e+00",
    ],
    ["{{ '{0[k]} {0.k} {1[1]} {2[0]} {1[9]}|{2.k}|'.format({'k': 'v'}, [1, 2], 'ab') }}", "v v 2 a ||"],
    [
      "{{ 1 // 0.1 }} {{ 1 % 0.1 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7.5 // 2 }} {{ 7.5 % -2 }} {{ 5.5 // 1.1 }} {{ 1234567.891 % 1e-7 }} {{ 0.3 // 0.1 }} {{ -1 % 3.0 }}",
      "9.0 0.09999999999999995 -4 2 -2 -4.0 -0.5 4.0 1.1733381807150502e-10 2.0 2.0",
    ],
    [
      "{{ '{:n} {:n} {:,} {:_} {:,.2f} {:.1%}'.format(1.0, 5, 1234567, 1234567, 12345.678, 0.5) }}",
      "1 5 1,234,567 1_234_567 12,345.68 50.0%",
    ],
    ["{{ '{:5}|{:<5}|{:s}'.format('ab', 1, 'x') }}", "ab   |1    |x"],
    ["{{ '%c%c' % (97, 'b') }}", "ab"],
  ]);
  testRefusals(variables, [
    ["{{ '{:5}'.format(none) }}", "format: '5' of a NoneType: expected a str or a number"],
    ["{{ '{:>9}'.format(xs) }}", "of a list: expected a str or a number"],
    ["{{ '{:d}'.format('a') }}", "of a str: unknown format code 'd'"],
    ["{{ '{:+}'.format('a') }}", "of a str: for numbers only"],
    ["{{ '{:.2}'.format(5) }}", "of a int: whole numbers have no precision"],
    ["{{ '{:s}'.format(5) }}", "of a int: unknown format code 's'"],
    ["{{ '{:#.2f}'.format(5.0) }}", "# is not known here"],
    ["{{ '{:012,}'.format(5) }}", "groups of zeros in front are not known here"],
    ["{{ '{:_x}'.format(500000) }}", "'_' with 'x' is not known here"],
    ["{{ '{1}'.format(5) }}", "there is no argument '1'"],
    ["{{ '{0.k.x}'.format({}) }}", "'0.k.x' is undefined"],
    ["{{ '%#g' % 1.5 }}", "%#g: # is not known here"],
    ["{{ '%x' % 1.0 }}", "an integer is required, not float"],
    ["{{ '%c' % 'ab' }}", "%c format: a real number is required, not str"],
    ["{{ '%c' % 97.0 }}", "%c format"],
    ["{{ '%a' % 'x' }}", "use %r"],
  ]);
});

describe("values of another type than is usual", () => {
  testTexts(variables, [
    [
      "{{ {'a': 1}[['x']] is defined }} {{ {'a': 1}[{}] }}| {{ {'string': 'str'}[['string', 'null']] is defined }} {{ [1, 2][1.0] is defined }} {{ 'ab'[true] }}",
      "False | False False b",
    ],
    [
      "{{ xs | truncate(9) }} {{ {'a': 1} | truncate(5, true, '') }} {{ (1, 2) | truncate(9) | length }}",
      "[3, 1, 2] {'a': 1} 2",
    ],
    [
      "{{ 'a' % [1, 2] }} {{ '%s' % [[1, 2]] }} {{ 'x' % {'a': 1} }} {{ '%(a)s' % {'a': 1, 'b': 2} }}",
      "a [[1, 2]] x 1",
    ],
    [
      "{{ nope is callable }} {{ xs.nope is callable }} {{ range is callable }} {{ xs is callable }} {{ cycler('a') is callable }}",
      "True True True False False",
    ],
    [
      "{{ ['a'] is lower }} {{ ['A'] is upper }} {{ 1 is lower }} {{ true is lower }} {{ none is upper }} {{ nope is lower }} {{ ['a', 1] | map('string') is lower }}",
      "True True False False False False True",
    ],
    [
      "{{ [{'a': 1}, {}, {'b': 2}, {'a': 1}] | unique(attribute='a') | list }} {{ 'aAb' | unique | join }}",
      "[{'a': 1}, {}] ab",
    ],
  ]);
  testTexts(variables, [
    [
      "{{ ' 5'.zfill(4) }} {{ '0x1'.zfill(5) }} {{ '-5'.zfill(4) }} {{ '+5'.zfill(1) }} {{ '-5'.rjust(5, '0') }} {{ '0x1'.rjust(5, '0') }}",
      "00 5 000x1 -005 +5 000-5 000x1",
    ],
    [
      "{{ '{:0>5}'.format(-5) }} {{ '{:05}'.format(-5) }} {{ '{:*=5}'.format(-5) }} {{ '{:0=6}'.format(-5) }} {{ '{:#06x}'.format(255) }} {{ '{:0<5}'.format(-5) }} {{ '{:+05d}'.format(5) }} {{ '%05d' % -5 }} {{ '%-05d|' % -5 }} {{ '%05s' % 'a' }} {{ '{:05}'.format('ab') }} {{ '{:>05}'.format(-5) }} {{ '{:^05}'.format(-5) }}",
      "000-5 -0005 -***5 -00005 0x00ff -5000 +0005 -0005 -5   |     a ab000 000-5 0-500",
    ],
    [
      "{{ {'b': 1, 'a': {'d': 2, 'c': (3,)}} | pprint }} {{ 'x' | pprint }} {{ [1.0, none] | pprint }}",
      "{'a': {'c': (3,), 'd': 2}, 'b': 1} 'x' [1.0, None]",
    ],
    ["{{ (1, 2).copy is defined }} {{ [1].copy() }} {{ {'a': 1}.copy() }}", "False [1] {'a': 1}"],
    ["{{ [] | int }} {{ none | int(3) }} {{ 'x' | float(2) }}", "0 3 2"],
  ]);
  testRefusals(variables, [
    ["{{ {'a': 1}.get(['x']) }}", "unhashable type: 'list'"],
    ["{{ ['x'] in {'a': 1} }}", "unhashable type: 'list'"],
    ["{{ nope | int }}", "'nope' is undefined"],
    ["{{ nope | float(1) }}", "'nope' is undefined"],
    ["{{ nope | wordwrap }}", "'nope' is undefined"],
    ["{{ xs | wordwrap }}", "wordwrap: expected a str, got list"],
    ["{{ range(40) | list | pprint }}", "pprint: a text of more than 80 characters"],
    ["{{ 5 | truncate(9) }}", "object of type 'int' has no len()"],
    ["{{ range(300) | list | truncate(9) }}", "truncate: expected a str, got list"],
    ["{{ xs | indent }}", "indent: expected a str, got list"],
    ["{{ nope | indent }}", "'nope' is undefined"],
    ["{{ 'a' % (1, 2) }}", "not all arguments converted"],
  ]);
});

testRefusals(variables, [
  ["{{ 123456789012345678 }}", "the integer 123456789012345678 is beyond 2^53"],
  ["{{ 12345678901234567890_1 }}", "is beyond 2^53"],
  ["{{ 0x123456789abcdef1 }}", "is beyond 2^53"],
  ["{{ '123456789012345678'|int }}", "is beyond 2^53"],
  ["{{ 1.7e308|round(-308) }}", "too large for a float"],
  ["{{ 1.5|round(400, 'ceil') }}", "too large for a float"],
  ["{{ '%x' % 1.5 }}", "an integer is required"],
  ["{{ '{:d}'.format(1.5) }}", "of a float: unknown format code 'd'"],
  ["{{ xs.count }}", "the text of the function count is an address"],
  ["{{ 'a&unknown;'|striptags }}", "the entity &unknown; is not known"],
  ["{{ 'a'|wordwrap(0) }}", "width: expected at least 1"],
  ["{{ ('-' * 99999)|wordwrap(5) }}", "characters"],
  ["{{ 'a'.center(9999999999, 'x') }}", "more than"],
]);
