/** Texts in parts (part.ts) as a grammar. */
import { ArgumentRangeError } from "../../errors.js";
import { grammarSymbol } from "../ebnf/compile.js";
import { matchedBy } from "../syntax/pattern.js";
import { type GrammarSymbol, GrammarWriter, type WrittenGrammar } from "../syntax/rules.js";
import { SchemaCompiler } from "../schema/compile.js";
import type { Schema } from "../schema/schemaAt.js";
import type { ControlToken } from "../syntax/controlTokens.js";
import { Literals } from "./literals.js";
import { memberSymbol } from "./members.js";
import type { PartsFormat, StructuralTags, TextPart, Thoughts, ThoughtState } from "./part.js";

/** @param state where the text begins @throws ArgumentRangeError for what is not supported */
export function writeParts(
  { parts, rules = {}, spelled = [], thoughts }: PartsFormat,
  tokens: readonly ControlToken[],
  state: ThoughtState,
): WrittenGrammar {
  const writer = new PartWriter(
    rules,
    tokens.filter(([text]) => !spelled.includes(text)),
  );
  const whole = thoughts && state !== "over" ? withThoughts(thoughts, parts, state === "open") : parts;
  return writer.grammar.finish(writer.symbolOf(whole));
}

function withThoughts(
  { open, close, never = [], inPrompt = true }: Thoughts,
  then: TextPart,
  isOpen: boolean,
): TextPart {
  const gap: TextPart = { regex: inPrompt ? "\\n{0,2}" : "" };
  const thought: TextPart[] = [{ free: [close, ...never], end: close }, gap];
  if (isOpen) return { sequence: [...thought, then] };
  return { sequence: [{ either: [{ sequence: [open, ...thought] }, ""] }, then] };
}

class PartWriter {
  readonly grammar = new GrammarWriter();
  readonly #literals: Literals;
  readonly #rules: Readonly<Record<string, TextPart>>;
  readonly #known = new Map<string, GrammarSymbol>();

  constructor(rules: Readonly<Record<string, TextPart>>, tokens: readonly ControlToken[]) {
    this.#rules = rules;
    this.#literals = new Literals(this.grammar.expressions, tokens);
  }

  symbolOf(part: TextPart): GrammarSymbol {
    const { grammar } = this;
    const write = grammar.expressions;
    const terminal = grammar.terminal.bind(grammar);
    if (typeof part === "string") return terminal(this.#literals.of(part));
    if ("schema" in part)
      return named(part.name, () => {
        const schema = new SchemaCompiler(part.schema as Schema, grammar, part.whitespace);
        return schema.symbolOf([schema.root]);
      });
    if ("regex" in part)
      return terminal(matchedBy({ source: part.regex }, write, write, part.name ?? "format.regex"));
    if ("choice" in part) return terminal(write.oneOf(part.choice));
    if ("grammar" in part) return named(part.name, () => grammarSymbol(part.grammar, grammar));
    if ("sequence" in part) return grammar.choice([part.sequence.map((one) => this.symbolOf(one))]);
    if ("either" in part) return grammar.choice(part.either.map((one) => [this.symbolOf(one)]));
    if ("repeat" in part) {
      const { min, max, between } = part;
      const bounds = { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
      return grammar.list(this.symbolOf(part.repeat), {
        ...bounds,
        ...(between !== undefined && { between: this.symbolOf(between) }),
      });
    }
    if ("free" in part) {
      const free = this.#literals.free(part.free, part.notFirst);
      return terminal(part.end === undefined ? free : write.concat([free, this.#literals.of(part.end)]));
    }
    if ("members" in part) return named(part.name, () => memberSymbol(part, grammar, this.#literals));
    if ("triggers" in part) return this.#tags(part);
    return this.#rule(part.rule);
  }

  #rule(name: string): GrammarSymbol {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const symbol = this.grammar.nonterminal();
    this.#known.set(name, symbol); // before the part, which may be it again
    this.grammar.rule(symbol, [this.symbolOf(this.#rules[name]!)]);
    return symbol;
  }

  #tags({ triggers, tags, atLeastOne = false, stopAfterFirst = false }: StructuralTags): GrammarSymbol {
    // Without a part behind the last free text, which the text may end in anywhere.
    const grammar = this.grammar;
    const [begin, more] = [grammar.nonterminal(), grammar.nonterminal()];
    const free = this.symbolOf({ free: triggers });
    for (const { begin: end, content, end: close } of tags) {
      const tag = [this.symbolOf({ free: triggers, end }), this.symbolOf({ sequence: [content, close] })];
      grammar.rule(begin, stopAfterFirst ? tag : [...tag, more]);
    }
    if (!stopAfterFirst) for (const right of [[free], [begin]]) grammar.rule(more, right);
    return atLeastOne ? begin : grammar.choice([[free], [begin]]);
  }
}

/** Errors of a schema begin with its name. */
function named<T>(name: string | undefined, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (name === undefined || !(error instanceof ArgumentRangeError)) throw error;
    throw new ArgumentRangeError(error.message.replace(/^(?:schema|format\.grammar)\b/, () => name));
  }
}
