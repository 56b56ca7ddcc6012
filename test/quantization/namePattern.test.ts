// Contract: patterns over names of modules match where Python's re.match does; what is not understood is said; no pattern takes long.
import { describe, expect, test } from "vitest";
import { NamePattern } from "../../lib/quantization/namePattern.js";

const q = "model.layers.10.self_attn.q_proj";

describe.each<[pattern: string, yes: readonly string[], no: readonly string[]]>([
  ["lm_head", ["lm_head", "lm_head2"], ["model.lm_head"]],
  [".*lm_head", ["lm_head", "model.lm_head"], ["lm.head"]],
  ["lm_head$", ["lm_head"], ["lm_head2"]],
  [".*mlp\\.gate$", ["model.layers.0.mlp.gate"], ["model.layers.0.mlp.gate_proj", "x.mlpXgate"]],
  [".*self_attn\\.(q|k|v)_proj$", [q], ["model.layers.0.self_attn.o_proj"]],
  ["model\\.layers\\.\\d+\\.self_attn.*", [q], ["model.layers.x.self_attn"]],
  ["model.layers.*.self_attn", [q], ["model.layers.0.mlp"]],
  ["^model.layers.(?:0|1[0-9])\\.", [q, "model.layers.0.x"], ["model.layers.2.x"]],
  ["(?!.*experts).*", [q], ["model.layers.0.mlp.experts.0.up_proj"]],
  ["(?=.*q_proj)model", [q], ["model.layers.0.k_proj"]],
  ["[^.]+\\.[a-z]{6}\\.[\\d]{1,2}\\.", [q], ["model.layers.100.x"]],
  ["a{2,}b{0,1}c{,2}$", ["aa", "aaabcc"], ["ab", "aabbc", "aaccc"]],
  ["[a-c-]+$", ["a-b"], ["a_b"]],
  ["[]x]\\]", ["]]", "x]"], ["[]"]],
  ["(a|ab)(c|bcd)?$", ["abcd", "ab", "ac"], ["abd"]],
  ["a.c|b", ["abc", "b"], ["ac", "a"]],
  ["(ab*)*?c", ["c", "abbac"], ["bc"]],
  ["", ["", "x"], []],
  ["\\w+\\W\\D\\s", ["ab.x "], ["ab.1 "]],
  ["x\\Z", ["x"], ["xx"]],
])("%j", (source, yes, no) => {
  const pattern = new NamePattern(source);
  test.each(yes.map((name) => [name]))("matches %j", (name) => expect(pattern.matches(name)).toBe(true));
  if (no.length > 0)
    test.each(no.map((name) => [name]))("does not match %j", (name) =>
      expect(pattern.matches(name)).toBe(false),
    );
});

test.each([
  ["(", "( without )"],
  ["a)", ") without ("],
  ["*a", "* behind nothing"],
  ["a**", "a repetition of a repetition"],
  ["[a", "[ without ]"],
  ["[z-a]", "a range of a class"],
  ["(?<=a)b", "(?<="],
  ["(?P<n>a)", "(?P<"],
  ["(a)\\1", "\\1"],
  ["a\\", "\\ at the end"],
  ["a{1,101}", "{1,101}: counts are 0 to 100"],
  ["a{3,2}", "{3,2}"],
  ["(".repeat(51) + ")".repeat(51), "more than 50 groups in each other"],
  ["a".repeat(1001), "longer than 1000 characters"],
])("%j is not understood", (source, says) => {
  expect(() => new NamePattern(source)).toThrow(says);
});

test.each([["(a+)+$"], ["(a|a)*$"], ["(a*)*b"], ["((a{0,50}){0,50}){0,50}b"], ["(.*)*(.*)*(.*)*c"]])(
  "%s ends at once where a search by trial would not",
  (source) => {
    // Within the time of a test; JavaScript's own engine takes longer than the universe is old.
    expect(new NamePattern(source).matches(`${"a".repeat(200)}!`)).toBe(false);
  },
);
