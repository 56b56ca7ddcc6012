/** What every grammar has to have: each rule once, each name a rule, and for each rule a text. */
import { type FailAt, type GrammarNode, type GrammarRule, namesIn } from "./grammarText.js";

/** @returns the rules that texts may have, by name @throws ArgumentRangeError, as `fail` does */
export function checkRules(
  rules: readonly GrammarRule[],
  start: string,
  fail: FailAt,
): ReadonlyMap<string, GrammarRule> {
  const byName = new Map<string, GrammarRule>();
  for (const rule of rules) {
    if (byName.has(rule.name)) fail(rule.at, `a second rule ${rule.name}`);
    byName.set(rule.name, rule);
  }
  for (const { body } of rules)
    for (const { name, at } of namesIn(body)) if (!byName.has(name)) fail(at, `there is no rule ${name}`);
  if (!byName.has(start)) fail(0, `expected a rule ${start}, with which texts begin`);
  const withText = rulesWithText(rules);
  for (const { name, at } of rules)
    if (!withText.has(name))
      fail(at, `no text has the form of ${name}: it never ends, or has no characters to choose from`);
  return reachable(byName, start);
}

/** Rules that derive any text. What is known grows until nothing changes. */
function rulesWithText(rules: readonly GrammarRule[]): ReadonlySet<string> {
  const known = new Set<string>();
  const users = new Map<string, GrammarRule[]>();
  for (const rule of rules)
    for (const { name } of namesIn(rule.body)) {
      const list = users.get(name);
      if (list) list.push(rule);
      else users.set(name, [rule]);
    }
  const waiting = [...rules];
  for (let rule = waiting.pop(); rule; rule = waiting.pop()) {
    if (known.has(rule.name) || !hasText(rule.body, known)) continue;
    known.add(rule.name);
    waiting.push(...(users.get(rule.name) ?? []).filter(({ name }) => !known.has(name)));
  }
  return known;
}

function hasText(node: GrammarNode, known: ReadonlySet<string>): boolean {
  switch (node.kind) {
    case "class":
      return node.ranges.length > 0;
    case "name":
      return known.has(node.name);
    case "sequence":
      return node.parts.every((part) => hasText(part, known));
    case "choice":
      return node.parts.some((part) => hasText(part, known));
    case "repeat":
      return node.min === 0 || hasText(node.of, known);
    case "text":
    case "pattern":
      return true;
  }
}

function reachable(
  byName: ReadonlyMap<string, GrammarRule>,
  start: string,
): ReadonlyMap<string, GrammarRule> {
  const found = new Map<string, GrammarRule>();
  const waiting = [start];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    const rule = byName.get(name)!;
    found.set(name, rule);
    for (const { name: next } of namesIn(rule.body)) waiting.push(next);
  }
  return found;
}
