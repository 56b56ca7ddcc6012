/**
 * Patterns of JavaScript as expressions. What no regular language has (references to groups) and what derivatives here do not know (looking
 * around, borders of words) is refused by name.
 */
import { JS, type NoParent, type Element, type Concatenation } from "refa";
import { ArgumentRangeError } from "../../errors.js";
import { type Expression, type ExpressionWriter, maxCount } from "./expressions.js";
import { lastCodePoint, type Range } from "./utf8.js";

type Node = NoParent<Element>;
type Alternatives = readonly NoParent<Concatenation>[];

/** How characters of a text are written. */
export interface Spelling {
  /** One character of these ranges. */
  characters(ranges: readonly Range[]): Expression;
}

/** @param flags of a RegExp: "i", "s", "u" and "v" have a meaning */
export interface Pattern {
  readonly source: string;
  readonly flags?: string | undefined;
}

/** Characters that a regular expression with the flag "u" may have a backslash before. */
const escapable = "^$\\.*+?()[]{}|/";
/** Characters of a pattern in an error. */
const maxShown = 200;
const everything: readonly Range[] = [[0, lastCodePoint]];

/**
 * All texts in which the pattern is found, as `RegExp.test` finds it: anywhere, unless ^ and $ say where.
 *
 * @param name of the pattern, for errors
 * @throws ArgumentRangeError for what is no pattern, and for what is not supported
 */
export function foundIn(
  pattern: Pattern,
  write: ExpressionWriter,
  spelling: Spelling = write,
  name = "regex",
): Expression {
  const { alternatives, fail } = parsed(pattern, name);
  return new PatternWriter(write, spelling, fail).found(alternatives);
}

/** All texts that the pattern matches from the first to the last character, as if it stood between ^ and $. */
export function matchedBy(
  pattern: Pattern,
  write: ExpressionWriter,
  spelling: Spelling = write,
  name = "regex",
): Expression {
  const { alternatives, fail } = parsed(pattern, name);
  return new PatternWriter(write, spelling, fail).matched(alternatives);
}

/**
 * A pattern as schemas and grammars in the wild write them, with the same meaning with the flag "u": without it a backslash before any other
 * sign is that sign, with it an error.
 */
export function patternSource(source: string): string {
  return source.replace(/\\([\s\S])/g, (whole, character: string) => {
    if (/[A-Za-z0-9]/.test(character) || escapable.includes(character)) return whole;
    const code = character.charCodeAt(0);
    return code > 0x7f ? character : `\\x${code.toString(16).padStart(2, "0")}`;
  });
}

interface Parsed {
  readonly alternatives: Alternatives;
  readonly fail: (problem: string) => never;
}

function parsed({ source, flags = "u" }: Pattern, name: string): Parsed {
  const fail = (problem: string): never => {
    const shown = source.length > maxShown ? `${source.slice(0, maxShown)}...` : source;
    throw new ArgumentRangeError(`${name}: ${problem.replace(source, shown)} in /${shown}/`);
  };
  const unicode = flags.includes("u") || flags.includes("v") ? flags : `${flags}u`;
  try {
    const parser = JS.Parser.fromLiteral({ source, flags: unicode });
    const { expression } = parser.parse({ assertions: "parse", backreferences: "throw" });
    return { alternatives: expression.alternatives, fail };
  } catch (error) {
    return fail(error instanceof RangeError ? "it is nested too deeply" : (error as Error).message);
  }
}

class PatternWriter {
  readonly #write: ExpressionWriter;
  readonly #spelling: Spelling;
  readonly #fail: (problem: string) => never;
  /** What may stand before a pattern without ^, and behind one without $. */
  readonly #rest: Expression;

  constructor(write: ExpressionWriter, spelling: Spelling, fail: (problem: string) => never) {
    this.#write = write;
    this.#spelling = spelling;
    this.#fail = fail;
    this.#rest = write.repeat(spelling.characters(everything));
  }

  found(alternatives: Alternatives): Expression {
    return this.#write.either(alternatives.map(({ elements }) => this.#anchored(elements)));
  }

  matched(alternatives: Alternatives): Expression {
    const whole = alternatives.map(({ elements }) => [anchor("behind"), ...elements, anchor("ahead")]);
    return this.#write.either(whole.map((elements) => this.#anchored(elements)));
  }

  /** A whole alternative: what may stand before it and behind it unless it begins and ends with anchors. */
  #anchored(elements: readonly Node[]): Expression {
    const inner = [...elements];
    const first = inner.length > 0 && isAnchor(inner[0]!, "behind");
    while (inner.length > 0 && isAnchor(inner[0]!, "behind")) inner.shift();
    const last = inner.length > 0 && isAnchor(inner.at(-1)!, "ahead");
    while (inner.length > 0 && isAnchor(inner.at(-1)!, "ahead")) inner.pop();
    // ^(?:a|b)$ and (?:^a|b$): anchors may stand within.
    const only = inner.length === 1 ? inner[0]! : undefined;
    if (only?.type === "Alternation") {
      const before = first ? [anchor("behind")] : [];
      const behind = last ? [anchor("ahead")] : [];
      const whole = only.alternatives.map(({ elements: own }) => [...before, ...own, ...behind]);
      return this.#write.either(whole.map((one) => this.#anchored(one)));
    }
    const parts = inner.map((one) => this.#written(one));
    return this.#write.concat([...(first ? [] : [this.#rest]), ...parts, ...(last ? [] : [this.#rest])]);
  }

  #written(node: Node): Expression {
    switch (node.type) {
      case "CharacterClass":
        return this.#spelling.characters(node.characters.ranges.map(({ min, max }) => [min, max] as const));
      case "Alternation":
        return this.#inside(node.alternatives);
      case "Quantifier":
        return this.#repeated(node);
      case "Assertion":
        return this.#fail(
          isAnchor(node, "behind") || isAnchor(node, "ahead")
            ? "expected ^ and $ at the beginning and the end of an alternative only"
            : "looking around and borders of words are not supported",
        );
      case "Unknown":
        return this.#fail("not supported");
    }
  }

  #repeated({ alternatives, min, max }: Node & { type: "Quantifier" }): Expression {
    const most = max === Infinity ? min : max;
    if (most > maxCount) return this.#fail(`expected counts of at most ${maxCount}, got ${most}`);
    return this.#write.repeat(this.#inside(alternatives), min, max);
  }

  #inside(alternatives: Alternatives): Expression {
    return this.#write.either(
      alternatives.map(({ elements }) => this.#write.concat(elements.map((one) => this.#written(one)))),
    );
  }
}

/** How refa tells ^ and $: nothing stands before, or behind. */
function isAnchor(node: Node, kind: "ahead" | "behind"): boolean {
  if (node.type !== "Assertion" || !node.negate || node.kind !== kind) return false;
  const [only] = node.alternatives;
  const [element] = only?.elements ?? [];
  return (
    node.alternatives.length === 1 &&
    only!.elements.length === 1 &&
    element?.type === "CharacterClass" &&
    element.characters.isAll
  );
}

function anchor(kind: "ahead" | "behind"): Node {
  const literal = { source: kind === "behind" ? "^" : "$", flags: "u" };
  const { expression } = JS.Parser.fromLiteral(literal).parse({ assertions: "parse" });
  return expression.alternatives[0]!.elements[0]!;
}
