/**
 * Grammars as the definition says, with nothing borrowed from native/grammar: each terminal is an automaton of refa's over bytes, all is
 * one context-free grammar over bytes, and a chart grows by a byte at a time until nothing more follows from it.
 */
import { CharSet, DFA, NFA, type Char } from "refa";
import type { WrittenGrammar } from "../../lib/grammar/syntax/rules.js";

const lastByte = 255 as Char;
const options = { maxCharacter: lastByte };
const setOf = (bytes: readonly number[]): CharSet =>
  CharSet.empty(lastByte).union(bytes.map((byte) => ({ min: byte, max: byte })));

const bytesOf = (min: number, max: number): ReadonlySet<number> =>
  new Set(Array.from({ length: max - min + 1 }, (_, i) => min + i));

/** What each node of a program matches. */
function automata(program: Int32Array): NFA[] {
  const all = [NFA.empty(options), NFA.fromWords([[]], options), NFA.all(options)];
  let at = 0;
  const next = (): number => program[at++]!;
  const list = <T>(read: () => T): T[] => Array.from({ length: next() }, read);
  const node = (): NFA => all[next()]!.copy();
  const intersect = (one: NFA, other: NFA): NFA => NFA.fromIntersection(one, other);
  const joined = (parts: readonly NFA[], how: "append" | "union"): NFA => {
    const whole = NFA.fromWords(how === "append" ? [[]] : [], options);
    for (const part of parts) whole[how](part);
    return whole;
  };
  const readers: readonly (() => NFA)[] = [
    () => {
      const words = Array.from({ length: 8 }, next);
      const bytes = Array.from({ length: 256 }, (_, byte) => byte);
      return NFA.fromCharSet(setOf(bytes.filter((byte) => (words[byte >> 5]! >>> (byte & 31)) & 1)));
    },
    () => NFA.fromWords([list(next)], options),
    () => joined(list(node), "append"),
    () => joined(list(node), "union"),
    () => list(node).reduce(intersect, all[2]!),
    () => {
      const dfa = DFA.fromFA(node());
      dfa.complement();
      return NFA.fromFA(dfa);
    },
    () => {
      const [of, min, max] = [node(), next(), next()];
      of.quantify(min, max < 0 ? Infinity : max);
      return of;
    },
  ];
  while (at < program.length) all.push(readers[next()]!());
  return all;
}

/** What a rule consists of: names of rules, and sets of bytes. */
type Part = string | ReadonlySet<number>;
interface Rule {
  readonly left: string;
  readonly right: readonly Part[];
}

function rulesOf({ program, terminals, rules }: WrittenGrammar): Rule[] {
  const all: Rule[] = [];
  const nodes = automata(program);
  for (const [t, index] of terminals.entries()) {
    const dfa = DFA.fromFA(nodes[index]!);
    const names = new Map([...dfa.nodes()].map((node, i) => [node, `terminal ${t} state ${i}`]));
    all.push({ left: `${-1 - t}`, right: [names.get(dfa.initial)!] });
    for (const [node, left] of names) {
      if (dfa.finals.has(node)) all.push({ left, right: [] });
      for (const [{ min, max }, to] of node.out)
        all.push({ left, right: [bytesOf(min, max), names.get(to)!] });
    }
  }
  for (let at = 0; at < rules.length; at += 2 + rules[at + 1]!) {
    const right = [...rules.subarray(at + 2, at + 2 + rules[at + 1]!)];
    all.push({ left: `${rules[at]}`, right: right.map(String) });
  }
  return withText(all);
}

/** The rules that derive any text. */
function withText(rules: readonly Rule[]): Rule[] {
  const good = new Set<string>();
  const isGood = ({ right }: Rule): boolean =>
    right.every((part) => (typeof part === "string" ? good.has(part) : part.size > 0));
  for (let before = -1; before !== good.size;) {
    before = good.size;
    for (const rule of rules) if (isGood(rule)) good.add(rule.left);
  }
  return rules.filter(isGood);
}

interface Item {
  readonly rule: Rule;
  readonly dot: number;
  readonly origin: number;
}
type Chart = readonly (readonly Item[])[];

export class ReferenceGrammar {
  readonly #byLeft = new Map<string, Rule[]>();
  readonly #numbers = new Map<Rule, number>();
  readonly #start: string;
  /** By text, in latin1: what was found before. */
  readonly #charts = new Map<string, Chart | undefined>();

  constructor(grammar: WrittenGrammar) {
    this.#start = `${grammar.start}`;
    for (const [i, rule] of rulesOf(grammar).entries()) {
      this.#numbers.set(rule, i);
      this.#byLeft.set(rule.left, [...(this.#byLeft.get(rule.left) ?? []), rule]);
    }
    const first = this.#rulesOf(this.#start).map((rule) => ({ rule, dot: 0, origin: 0 }));
    this.#charts.set("", this.#closed([], first));
  }

  /** Whether a text of the grammar begins with these bytes. */
  begins(text: Uint8Array): boolean {
    return this.#chart(text) !== undefined;
  }

  matches(text: Uint8Array): boolean {
    const isWhole = ({ rule, dot, origin }: Item): boolean =>
      rule.left === this.#start && origin === 0 && dot === rule.right.length;
    return this.#chart(text)?.at(-1)!.some(isWhole) ?? false;
  }

  #rulesOf(left: string): readonly Rule[] {
    return this.#byLeft.get(left) ?? [];
  }

  #chart(text: Uint8Array): Chart | undefined {
    const key = Buffer.from(text).toString("latin1");
    if (!this.#charts.has(key)) {
      const before = this.#chart(text.subarray(0, -1));
      this.#charts.set(key, before && this.#extended(before, text.at(-1)!));
    }
    return this.#charts.get(key);
  }

  #extended(chart: Chart, byte: number): Chart | undefined {
    const moved = chart.at(-1)!.filter(({ rule, dot }) => {
      const part = rule.right[dot];
      return typeof part === "object" && part.has(byte);
    });
    if (moved.length === 0) return undefined;
    return this.#closed(
      chart,
      moved.map((item) => ({ ...item, dot: item.dot + 1 })),
    );
  }

  /** All that follows from the items of a row, over and over until it is all there, so that rules may be empty. */
  #closed(chart: Chart, first: readonly Item[]): Chart {
    const row: Item[] = [];
    const keys = new Set<string>();
    const all = [...chart, row];
    const add = (item: Item): void => {
      const key = `${this.#numbers.get(item.rule)} ${item.dot} ${item.origin}`;
      if (keys.has(key)) return;
      keys.add(key);
      row.push(item);
    };
    first.forEach(add);
    for (let before = -1; before !== row.length;) {
      before = row.length;
      for (const { rule, dot, origin } of [...row]) {
        const part = rule.right[dot];
        if (typeof part === "string")
          for (const each of this.#rulesOf(part)) add({ rule: each, dot: 0, origin: chart.length });
        if (part !== undefined) continue;
        for (const item of [...all[origin]!])
          if (item.rule.right[item.dot] === rule.left) add({ ...item, dot: item.dot + 1 });
      }
    }
    return all;
  }
}
