// Contract: `format: { grammar }` takes the texts that the rules derive, in both ways to write them, whatever the rules look like; what is
// no grammar, or none that is supported, is an error that names line and column.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import { LLM } from "../../lib/index.js";
import { firstSeed } from "../support/seed.js";

let bytes: GrammarVocabulary;
beforeAll(() => {
  bytes = new GrammarVocabulary(Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)));
});
afterAll(() => bytes[Symbol.dispose]());

const write = (grammar: string) => writeFormat(JSON.stringify({ grammar }));

interface Case {
  readonly grammar: string;
  readonly takes: readonly string[];
  readonly refuses: readonly string[];
  /** How many symbols its rules have; regular ones have but two: the start and its terminal. */
  readonly isRegular?: boolean;
}

const json = String.raw`
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
`;

const gbnfCases: Readonly<Record<string, Case>> = {
  "json.gbnf": {
    grammar: json,
    takes: ["{}", '{"a": 1}', '{"ß\\n": [1.5e-3, {"b": null}, [[]]] }\n\t'],
    refuses: ["[]", '{"a": 1,}', '{"a" 1}', '{"a": 1}x', ""],
  },
  "chess, as in llama.cpp's guide": {
    grammar: String.raw`
root ::= (
    # it must start with the characters "1. "
    "1. " move " " move "\n"
    ([1-9] [0-9]? ". " move " " move "\n")+
)
move ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?`,
    takes: ["1. e4 e5\n2. Nf3 Nc6\n", "1. e4 d5\n2. exd5 Qxd5+\n12. O-O-O O-O\n"],
    refuses: ["1. e4 e5\n", "1. e9 e5\n2. a1 a1\n"],
    isRegular: true,
  },
  quantities: {
    grammar: 'root ::= "a"{2} "b"{1,} "c"{0,2} "d"{1,3} [e]?',
    takes: ["aabd", "aabbbccddde"],
    refuses: ["abd", "aad", "aabcccd", "aabdddd", "aabdee"],
    isRegular: true,
  },
  "escapes and classes": {
    grammar: String.raw`root ::= "\x41\u00e9\U0001F600\t\"\\" [^\x00-\x60\n] [\]\[\-] [a-] . "是"`,
    takes: ['Aé😀\t"\\z]-\u{10ffff}是', 'Aé😀\t"\\ß-a\n是'],
    refuses: ['Aé😀\t"\\Z]-x是', 'Aé😀\t"\\zx-x是'],
    isRegular: true,
  },
  "right recursion that may end at once": {
    grammar: 'root ::= ws "a"\nws ::= ([ \\t\\n] ws)?',
    takes: ["a", " \n\ta"],
    refuses: [" ", "aa"],
    isRegular: true,
  },
  "left recursion": {
    grammar: 'root ::= root "," [a-c] | [a-c]',
    takes: ["a", "a,b,c"],
    refuses: ["a,", ",a"],
    isRegular: true,
  },
  "recursion at both ends": {
    grammar: 'root ::= root root | "a" | "(" root ")"',
    takes: ["a", "aaa", "(aa)a"],
    refuses: ["()", "a)"],
  },
  "recursion in the middle": {
    grammar: 'root ::= "(" root ")" | ""',
    takes: ["", "()", "(((())))"],
    refuses: ["(", "())", "()()"],
  },
  "rules that go on at their right end, with themselves inside": {
    grammar: 'root ::= "x" root | "(" root ")" root | "y"',
    takes: ["y", "xxy", "(xy)(y)xy"],
    refuses: ["(y)", "x", "yy"],
  },
  "two rules that are each other's end": {
    grammar: 'root ::= "a" b | "c"\nb ::= "b" root | root "d"',
    takes: ["c", "abc", "acd", "abababc"],
    refuses: ["ab", "ac", "acdd"],
  },
  "a rule that is only itself beside something": {
    grammar: 'root ::= a\na ::= a | b\nb ::= a | "x"',
    takes: ["x"],
    refuses: ["", "xx"],
  },
  "empty rules, empty lists of empty ones": {
    grammar: 'root ::= e* (e e)+ "a"{0} r\ne ::= | ""\nr ::= e "(" r? ")" e',
    takes: ["()", "(())"],
    refuses: ["", "a()"],
  },
  "lists of what is recursive": {
    grammar: 'root ::= r{2,3} ("," r+)?\nr ::= "(" r* ")"',
    takes: ["()()", "()(())()", "()(),()()()()"],
    refuses: ["()", "()()()()", "()(),"],
  },
  "names with dashes and underscores, a rule that is not used, spaces anywhere": {
    grammar:
      'root::=my-rule|my_rule2 # one\n | ( other\n\n)\nmy-rule\n::= "a"\nmy_rule2 ::= "b"\nother::="c" unused::="d" ',
    takes: ["a", "b", "c"],
    refuses: ["d", "ab"],
    isRegular: true,
  },
  "what derives more than is written out": {
    grammar: [
      'root ::= r0 "!"',
      ...Array.from({ length: 12 }, (_, i) => `r${i} ::= r${i + 1} r${i + 1}`),
      'r12 ::= "a" | "bb"',
    ].join("\n"),
    takes: [`${"a".repeat(4096)}!`, `${"abb".repeat(2048)}!`],
    refuses: [`${"a".repeat(4095)}!`, `${"a".repeat(4096)}`, "a!"],
  },
};

const larkCases: Readonly<Record<string, Case>> = {
  "sums, as in Lark's guide": {
    grammar: `
      ?start: sum
            | NAME "=" sum    -> assign_var
      ?sum: product
          | sum "+" product   -> add
          | sum "-" product   -> sub
      ?product: atom
          | product "*" atom  -> mul
      ?atom: NUMBER           -> number
           | "-" atom         -> neg
           | NAME             -> var
           | "(" sum ")"
      %import common.CNAME -> NAME
      %import common.NUMBER
      %import common.WS_INLINE
      %ignore WS_INLINE
    `,
    takes: ["1+2", " x = ( 1 + 2.5e3 )* -y ", "12", "((a))"],
    refuses: ["1 2", "x = = 1", "1+", "a\n+b"],
  },
  "texts of any case, expressions with flags, options in brackets": {
    grammar:
      'start: SELECT _c ("," _c)* ["from"i NAME]\n_c: NAME | "*"\nSELECT: "select"i\nNAME: /[a-z_\\-]+/i\n%ignore /\\s+/',
    takes: ["select *", "SELECT a, B-c from t", "Select\n*  FROM x "],
    refuses: ["select", "select a from", "selec *"],
    isRegular: true,
  },
  "ranges and how often": {
    grammar: 'start: ("a".."c")~2..3 "x"{2} "y" ~ 2 "z"{,1} | /\\"[^\\"]*\\"/ // no more\n# and no less',
    takes: ["abxxyy", "abcxxyyz", '"hi"'],
    refuses: ["axxyy", "abxxy", "abxxyyzz"],
    isRegular: true,
  },
  "terminals in which nothing is ignored": {
    grammar: 'start: A A\nA: "x" "y"+\n%ignore " "',
    takes: ["xyxyy", " xy xy "],
    refuses: ["x yxy", "xy"],
    isRegular: true,
  },
  "priorities and names that keep their parts": {
    grammar: '!start.2: a | b?\n?a: "a"\n!b.-1: "b"\nT.3: "t"\n%llguidance {}\n%import common (WS, INT)',
    takes: ["", "a", "b"],
    refuses: ["t", "ab"],
    isRegular: true,
  },
  "signs that a backslash stands before although they need none": {
    grammar: "start: /a\\-b[\\-c]\\é/",
    takes: ["a-b-é", "a-bcé"],
    refuses: ["a-bb", "a\\-bcé"],
    isRegular: true,
  },
  recursion: {
    grammar: 'start: "[" [start ("," start)*] "]"',
    takes: ["[]", "[[],[[]]]"],
    refuses: ["[,]", "[[]"],
  },
  "a dot that stops at a line's end unless told not to": {
    grammar: 'start: /.+/ "\\n" /./s',
    takes: ["ab\n\n"],
    refuses: ["a\nb\nc"],
    isRegular: true,
  },
};

describe.each([
  ["GBNF", gbnfCases],
  ["Lark's", larkCases],
])("%s grammars", (_name, cases) => {
  it.each(Object.entries(cases))("%s", (_case, { grammar, takes, refuses, isRegular = false }) => {
    const written = write(grammar);
    using compiled = new CompiledGrammar(written);
    const isTaken = (text: string): boolean => {
      using matcher = new Matcher(compiled, bytes);
      return [...Buffer.from(text)].every((byte) => matcher.accept(byte)) && matcher.isAccepting;
    };
    expect(takes.filter((text) => !isTaken(text))).toEqual([]);
    expect(refuses.filter(isTaken)).toEqual([]);
    expect(written.rules.length === 3).toBe(isRegular);
  });
});

describe("terminals of common", () => {
  it.each([
    ["SIGNED_NUMBER", ["-1", "+1.5", ".5e-3", "3."], ["-", "e1", "1e"]],
    ["FLOAT", ["1e5", "1.0", ".1"], ["1", "-1.0"]],
    ["ESCAPED_STRING", ['""', '"a\\"b"', '"\\\\"'], ['"', '"a\\"', '"a\nb"']],
    ["C_COMMENT", ["/**/", "/* a * b **/"], ["/*/", "/* */ */"]],
    ["CNAME", ["a", "_1b"], ["1", "é"]],
    ["NEWLINE", ["\n", "\r\n\n"], ["\r", ""]],
  ] as const)("%s", (name, takes, refuses) => {
    using grammar = new CompiledGrammar(write(`%import common.${name}\nstart: ${name}`));
    const isTaken = (text: string): boolean => {
      using matcher = new Matcher(grammar, bytes);
      return [...Buffer.from(text)].every((byte) => matcher.accept(byte)) && matcher.isAccepting;
    };
    expect(takes.filter((text) => !isTaken(text))).toEqual([]);
    expect(refuses.filter(isTaken)).toEqual([]);
  });
});

describe("what is refused", () => {
  it.each([
    ["", /line 1, column 1: expected a rule start/],
    ["foo", /line 1, column 1: expected end of input/],
    ["root ::= (", /line 1, column 11: expected "\)"/],
    ['root ::= "a"\nx ::= "b', /line 2, column 9: expected .*"\\""/],
    ['root ::= "a" |\n  b "c"', /line 2, column 3: there is no rule b/],
    ['x ::= "a"', /line 1, column 1: expected a rule root, with which texts begin/],
    ['root ::= "a"\nroot ::= "b"', /line 2, column 1: a second rule root/],
    ['root ::= "a"\nx ::= x "a" | y\ny ::= x', /line 2, column 1: no text has the form of x/],
    ["root ::= []", /line 1, column 1: no text has the form of root/],
    ["root ::= [^\\x00-\\U0010FFFF]", /line 1, column 1: no text has the form of root/],
    ["root ::= [z-a]", /line 1, column 11: expected the smaller one first, got z-a/],
    ['root ::= "a"{3,2}', /line 1, column 13: expected no more than the maximum, got \{3,2\}/],
    ['root ::= "a"{4294967296}', /line 1, column 13: at most 2147483646 times/],
    ['root ::= "\\uD800"', /line 1, column 11: \\uD800 is no character/],
    ['root ::= "\\q"', /line 1, column 11: expected/],
    ["root ::= <think> !<[12]>", /line 1, column 10: tokens are not supported: <think>/],
    [
      'root ::= a{10001}\na ::= "(" a? ")"',
      /line 1, column 11: what is recursive is repeated at most 10000 times/,
    ],
    [`root ::= ${"(".repeat(50_000)}"a"${")".repeat(50_000)}`, /it is nested too deeply/],
    ["start: a", /line 1, column 8: there is no rule a/],
    ["start: <|eot|>", /line 1, column 8: not supported: <\|eot\|>/],
    ["start: @other", /line 1, column 8: not supported: @other/],
    ["start: %json { }", /line 1, column 8: not supported: %json/],
    ['start: A & "b"\nA: "a"', /line 1, column 10: not supported: &/],
    ['start[lazy]: "a"', /line 1, column 6: attributes and parameters of rules are not supported: \[lazy\]/],
    ['start: a{"x"}\na{y}: y', /line 1, column 9: expected/],
    ['%import python.NAME\nstart: "a"', /line 1, column 1: %import takes terminals of common/],
    ['%import common.NAME\nstart: "a"', /line 1, column 16: common has no terminal NAME/],
    ['%import common.constructor\nstart: "a"', /line 1, column 16: common has no terminal constructor/],
    ['%import common.__proto__ -> X\nstart: "a"', /line 1, column 16: common has no terminal __proto__/],
    ['start: "y" "x"{}', /line 1, column 15: expected how many times, got \{\}/],
    ['start: "y" "x"{,}', /line 1, column 15: expected how many times, got \{,\}/],
    ["start: /a{2147483647}/", /line 1, column 8: .*expected counts of at most 2147483646/],
    ['%declare X\nstart: "a"', /line 1, column 1: %declare is not supported/],
    ["start: /(?=a)b/", /line 1, column 8: .*looking around/],
    ["start: /a(/", /line 1, column 8: regular expression/],
    ["start: /a/x", /line 1, column 8: expected flags of i, s and u, got x/],
    ['start: "ab".."c"', /line 1, column 8: expected one character at each end of a range/],
    ['start: "c".."a"', /line 1, column 8: expected the smaller one first/],
  ])("%j", (grammar, message) => {
    const call = (): unknown => write(grammar);
    expect(call).toThrow(message);
    expect(call).toThrow(/^format\.grammar: /);
    expect(call).toThrow(expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }));
  });
});

it("a long grammar is read in time", () => {
  const names = Array.from({ length: 2000 }, (_, i) => `r${i}`);
  const rules = names.map(
    (name, i) => `${name} ::= "${name}" (${names[(7 * i + 1) % 2000]} | [a-z]{2,5} "x")?`,
  );
  const begin = performance.now();
  using _grammar = new CompiledGrammar(write(`root ::= r0\n${rules.join("\n")}`));
  expect(performance.now() - begin).toBeLessThan(20_000);
});

it("a generated text has the form", async () => {
  await using llm = await LLM.load("models/tiny-moe", { device: "cpu", threads: 1 });
  const format = { grammar: 'start: "(" [start ("," start)~0..2] ")"' };
  const options = { temperature: 1.5, maxTokens: 60, seed: firstSeed, n: 4, format };
  const { choices } = await llm.generate("Brackets: ", options).result();
  for (const { text, finishReason } of choices) {
    let plain = text;
    for (let before = ""; before !== plain;)
      [before, plain] = [plain, plain.replace(/\((x(,x){0,2})?\)/, "x")];
    if (finishReason === "stop") expect(plain).toBe("x");
    else expect(text).toMatch(/^\([(),]*$/);
  }
  const refused = llm.generate("x", { format: { grammar: "root ::= a" } });
  await expect(refused.text()).rejects.toThrow(/format\.grammar: line 1, column 10: there is no rule a/);
});
