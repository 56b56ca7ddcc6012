/**
 * Grammars that people write, for the addon. They write down to single characters, which would be a row of the parser's chart for each; so
 * whatever is regular, rules included, becomes a terminal, and rules that only go on at their right end become lists.
 */
import { ArgumentRangeError } from "../../errors.js";
import type { GrammarSymbol, WrittenGrammar } from "../syntax/rules.js";
import { GrammarWriter } from "../syntax/rules.js";
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { matchedBy } from "../syntax/pattern.js";
import { checkRules } from "./checkRules.js";
import { choice, type FailAt, type GrammarNode, type GrammarRule, namesIn, sequence } from "./grammarText.js";
import { gbnf } from "./gbnf.js";
import { lark } from "./lark.js";
import { loopOf } from "./loops.js";
import { failIn, parse } from "./notation.js";

const ruleOfGbnf = /^[ \t]*[\w-]+\s*::=/m;
/** A regular rule that would take more than this, written out, stays a rule. */
const maxRegularSize = 4000;
/** Of what is not regular. */
const maxRepeat = 10_000;

/** @throws ArgumentRangeError that names what is wrong, and line and column */
export function compileGrammar(text: string): WrittenGrammar {
  const grammar = new GrammarWriter();
  return grammar.finish(grammarSymbol(text, grammar));
}

/** The texts of a grammar as a part of another one. @throws as compileGrammar */
export function grammarSymbol(text: string, grammar: GrammarWriter): GrammarSymbol {
  const fail = failIn(text);
  try {
    const { rules, start } = parse(text, ruleOfGbnf.test(text) ? gbnf : lark, fail);
    return new GrammarCompiler(grammar, checkRules(rules, start, fail), fail).compile(start);
  } catch (error) {
    if (!(error instanceof RangeError) || error instanceof ArgumentRangeError) throw error;
    throw new ArgumentRangeError("format.grammar: it is nested too deeply"); // the stack ended
  }
}

class GrammarCompiler {
  readonly #rules: ReadonlyMap<string, GrammarRule>;
  readonly #fail: FailAt;
  readonly #grammar: GrammarWriter;
  readonly #write: ExpressionWriter;
  readonly #regular = new Map<string, { readonly expression: Expression; readonly size: number }>();
  readonly #nonterminals = new Map<string, GrammarSymbol>();
  /** Rules with a nonterminal that are not written yet. */
  readonly #open: GrammarRule[] = [];

  constructor(grammar: GrammarWriter, rules: ReadonlyMap<string, GrammarRule>, fail: FailAt) {
    this.#grammar = grammar;
    this.#write = grammar.expressions;
    this.#rules = rules;
    this.#fail = fail;
  }

  compile(start: string): GrammarSymbol {
    this.#findRegular();
    const [whole] = this.#symbols({ kind: "name", name: start, at: 0 });
    for (let rule = this.#open.pop(); rule; rule = this.#open.pop()) this.#writeRule(rule);
    return whole ?? this.#grammar.choice([[]]); // none: the text is empty
  }

  /** Rules are regular if all are that they refer to; of itself a rule may be the end, or the beginning. */
  #findRegular(): void {
    const users = new Map<string, GrammarRule[]>();
    const missing = new Map<GrammarRule, number>();
    const ready: GrammarRule[] = [];
    for (const rule of this.#rules.values()) {
      const names = new Set(
        [...namesIn(rule.body)].map(({ name }) => name).filter((name) => name !== rule.name),
      );
      for (const name of names) users.set(name, [...(users.get(name) ?? []), rule]);
      missing.set(rule, names.size);
      if (names.size === 0) ready.push(rule);
    }
    for (let rule = ready.pop(); rule; rule = ready.pop()) {
      const body = regularBody(rule);
      const size = body === undefined ? Infinity : this.#sizeOf(body);
      if (body === undefined || size > maxRegularSize) continue;
      this.#regular.set(rule.name, { expression: this.#expression(body), size });
      for (const user of users.get(rule.name) ?? []) {
        const left = missing.get(user)! - 1;
        missing.set(user, left);
        if (left === 0) ready.push(user);
      }
    }
  }

  /** About what a regular node takes when all it refers to is written out. */
  #sizeOf(node: GrammarNode): number {
    switch (node.kind) {
      case "text":
        return node.text.length;
      case "class":
        return 1 + node.ranges.length;
      case "pattern":
        return node.pattern.source.length;
      case "name":
        return this.#regular.get(node.name)!.size;
      case "repeat":
        return 1 + this.#sizeOf(node.of);
      case "sequence":
      case "choice":
        return node.parts.reduce((size, part) => size + this.#sizeOf(part), 1);
    }
  }

  #isRegular(node: GrammarNode): boolean {
    for (const { name } of namesIn(node)) if (!this.#regular.has(name)) return false;
    return true;
  }

  #expression(node: GrammarNode): Expression {
    const write = this.#write;
    switch (node.kind) {
      case "text":
        return write.text(node.text);
      case "class":
        return write.characters(node.ranges);
      case "pattern":
        return this.#pattern(node);
      case "name":
        return this.#regular.get(node.name)!.expression;
      case "repeat":
        return write.repeat(this.#expression(node.of), node.min, node.max);
      case "sequence":
        return write.concat(node.parts.map((part) => this.#expression(part)));
      case "choice": {
        const texts = node.parts.flatMap((part) => (part.kind === "text" ? [part.text] : []));
        const others = node.parts.filter(({ kind }) => kind !== "text");
        const all = [
          ...(texts.length > 0 ? [write.oneOf(texts)] : []),
          ...others.map((part) => this.#expression(part)),
        ];
        return write.either(all);
      }
    }
  }

  #pattern({ pattern, at }: GrammarNode & { kind: "pattern" }): Expression {
    try {
      return matchedBy(pattern, this.#write, this.#write, "regular expression");
    } catch (error) {
      if (error instanceof ArgumentRangeError) return this.#fail(at, error.message);
      throw error;
    }
  }

  #writeRule(rule: GrammarRule): void {
    const left = this.#nonterminals.get(rule.name)!;
    const loop = loopOf(rule, "right");
    const body = loop ? choice(loop.rest) : rule.body;
    const alternatives = body.kind === "choice" ? body.parts : [body];
    const rights = this.#alternatives(alternatives);
    for (const right of rights) this.#grammar.rule(left, right);
    if (loop) {
      const again = this.#grammar.list(this.#symbol(choice(loop.again)), { min: 1 });
      for (const right of rights) this.#grammar.rule(left, [again, ...right]);
    }
  }

  /** Those that are regular as one. */
  #alternatives(nodes: readonly GrammarNode[]): readonly (readonly GrammarSymbol[])[] {
    const [regular, others]: [GrammarNode[], GrammarNode[]] = [[], []];
    for (const node of nodes) (this.#isRegular(node) ? regular : others).push(node);
    return [...(regular.length > 0 ? [choice(regular)] : []), ...others].map((node) => this.#symbols(node));
  }

  #symbol(node: GrammarNode): GrammarSymbol {
    return this.#grammar.choice([this.#symbols(node)]);
  }

  #symbols(node: GrammarNode): readonly GrammarSymbol[] {
    if (this.#isRegular(node)) {
      const expression = this.#expression(node);
      return expression === this.#write.empty ? [] : [this.#grammar.terminal(expression)];
    }
    switch (node.kind) {
      case "name":
        return [this.#nonterminal(this.#rules.get(node.name)!)];
      case "repeat": {
        const { of, min, max, at } = node;
        if (min > maxRepeat || (max !== Infinity && max > maxRepeat))
          this.#fail(at, `what is recursive is repeated at most ${maxRepeat} times`);
        return [this.#grammar.list(this.#symbol(of), { min, max })];
      }
      case "choice":
        return [this.#grammar.choice(this.#alternatives(node.parts))];
      case "sequence":
        return this.#joined(node.parts).flatMap((part) => this.#symbols(part));
      case "text":
      case "class":
      case "pattern":
        return []; // they are regular
    }
  }

  /** Neighbours that are regular as one, since a place between terminals is a row of the chart. */
  #joined(parts: readonly GrammarNode[]): readonly GrammarNode[] {
    const joined: GrammarNode[] = [];
    let regular: GrammarNode[] = [];
    for (const part of parts) {
      if (this.#isRegular(part)) {
        regular.push(part);
        continue;
      }
      joined.push(sequence(regular), part);
      regular = [];
    }
    return [...joined, sequence(regular)];
  }

  #nonterminal(rule: GrammarRule): GrammarSymbol {
    const known = this.#nonterminals.get(rule.name);
    if (known !== undefined) return known;
    const symbol = this.#grammar.nonterminal();
    this.#nonterminals.set(rule.name, symbol);
    this.#open.push(rule);
    return symbol;
  }
}

/** The body of a rule without the rule itself: loops for what it does at one of its ends. */
function regularBody(rule: GrammarRule): GrammarNode | undefined {
  if (![...namesIn(rule.body)].some(({ name }) => name === rule.name)) return rule.body;
  for (const end of ["right", "left"] as const) {
    const loop = loopOf(rule, end);
    if (!loop) continue;
    const again: GrammarNode = { kind: "repeat", of: choice(loop.again), min: 0, max: Infinity, at: rule.at };
    const parts = end === "right" ? [again, choice(loop.rest)] : [choice(loop.rest), again];
    return { kind: "sequence", parts };
  }
  return undefined;
}
