/**
 * Regular expressions over bytes, written for the addon: a program whose nodes refer to those before them (native/grammar/program.h reads
 * it). Equal expressions are one there.
 */
import { ArgumentRangeError } from "../../errors.js";
import { type Range, utf8Sequences } from "./utf8.js";

/** A node of the program. */
export type Expression = number & { readonly __brand: "Expression" };

/** What each node begins with; the order is that of native/grammar/program.h. */
export const ops = { bytes: 0, text: 1, concat: 2, either: 3, both: 4, complement: 5, repeat: 6 } as const;
export const unbounded = -1;
/** How often an expression is repeated at most: counts are 32-bit integers in the addon, and -1 is none. */
export const maxCount = 2 ** 31 - 2;
const maxTreeDepth = 100; // of branches
/** What the expressions of one grammar may take. */
const maxProgram = 4_000_000;

export class ExpressionWriter {
  /** Matches no text. */
  readonly nothing = 0 as Expression;
  /** Matches the empty text. */
  readonly empty = 1 as Expression;
  /** Matches every sequence of bytes. */
  readonly anything = 2 as Expression;
  readonly #program: number[] = [];
  readonly #known = new Map<string, Expression>();
  #count = 3;

  /** The program of all that was written. */
  get program(): Int32Array {
    return Int32Array.from(this.#program);
  }

  /** One byte of these ranges. */
  bytes(ranges: readonly Range[]): Expression {
    const words = new Uint32Array(8);
    for (const [first, last] of ranges)
      for (let byte = first; byte <= last; byte++) words[byte >> 5]! |= 1 << (byte & 31);
    return this.#add([ops.bytes, ...new Int32Array(words.buffer)]);
  }

  /** A text, or bytes, as they are. */
  text(text: string | Uint8Array): Expression {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    return bytes.length === 0 ? this.empty : this.#add([ops.text, bytes.length, ...bytes]);
  }

  /** One of several texts: what they begin with alike stands once, so that derivatives stay small. */
  oneOf(texts: readonly string[]): Expression {
    const sorted = [...new Set(texts)].map((text) => Buffer.from(text)).sort((a, b) => a.compare(b));
    return this.#tree(sorted, 0);
  }

  /** @param texts sorted, different, the same before `at` */
  #tree(texts: readonly Buffer[], at: number, depth = 0): Expression {
    if (texts.length === 1 || depth === maxTreeDepth)
      return this.either(texts.map((text) => this.text(text.subarray(at))));
    const alternatives: Expression[] = [];
    for (let i = 0; i < texts.length;) {
      const first = texts[i]!;
      if (first.length === at) {
        alternatives.push(this.empty);
        i++;
        continue;
      }
      let end = i + 1;
      while (end < texts.length && texts[end]![at] === first[at]) end++;
      const last = texts[end - 1]!; // sorted: what it has in common with the first, all have
      let common = at + 1;
      while (common < first.length && first[common] === last[common]) common++;
      const rest = this.#tree(texts.slice(i, end), common, depth + 1);
      alternatives.push(this.concat([this.text(first.subarray(at, common)), rest]));
      i = end;
    }
    return this.either(alternatives);
  }

  /** One character of these ranges of code points, in UTF-8. */
  characters(ranges: readonly Range[]): Expression {
    return this.#sequences(
      ranges.flatMap((range) => [...utf8Sequences(range)]),
      0,
    );
  }

  /** Any of some sequences of bytes; those that begin alike stand once, as in a tree of texts. */
  #sequences(sequences: readonly (readonly Range[])[], at: number): Expression {
    const byFirst = new Map<string, (readonly Range[])[]>();
    for (const one of sequences) {
      const key = one[at]!.join();
      const alike = byFirst.get(key);
      if (alike) alike.push(one);
      else byFirst.set(key, [one]);
    }
    const parts = [...byFirst.values()].map((alike) => {
      const [first] = alike as [readonly Range[]];
      if (alike.length === 1 || first.length === at + 1)
        return this.concat(first.slice(at).map((range) => this.bytes([range])));
      return this.concat([this.bytes([first[at]!]), this.#sequences(alike, at + 1)]);
    });
    return this.either(parts);
  }

  concat(parts: readonly Expression[]): Expression {
    if (parts.length === 1) return parts[0]!;
    return parts.length === 0 ? this.empty : this.#add([ops.concat, parts.length, ...parts]);
  }

  either(parts: readonly Expression[]): Expression {
    if (parts.length === 1) return parts[0]!;
    return parts.length === 0 ? this.nothing : this.#add([ops.either, parts.length, ...parts]);
  }

  both(parts: readonly Expression[]): Expression {
    if (parts.length === 1) return parts[0]!;
    return parts.length === 0 ? this.anything : this.#add([ops.both, parts.length, ...parts]);
  }

  complement(of: Expression): Expression {
    return this.#add([ops.complement, of]);
  }

  /** At least `min` times and at most `max` times. */
  repeat(of: Expression, min = 0, max = Infinity): Expression {
    return this.#add([ops.repeat, of, min, max === Infinity ? unbounded : max]);
  }

  optional(of: Expression): Expression {
    return this.repeat(of, 0, 1);
  }

  #add(node: readonly number[]): Expression {
    if (this.#program.length + node.length > maxProgram)
      throw new ArgumentRangeError(
        `format: its regular expressions are too large: more than ${maxProgram} numbers`,
      );
    const key = node.join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    for (const word of node) this.#program.push(word);
    const expression = this.#count++ as Expression;
    this.#known.set(key, expression);
    return expression;
  }
}
