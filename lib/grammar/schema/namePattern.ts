/** Patterns of names that stand in a schema: which of its properties each is about. */
import { ArgumentRangeError } from "../../errors.js";
import { ExpressionWriter, ops, unbounded } from "../syntax/expressions.js";
import { foundIn } from "../syntax/pattern.js";

/** How many steps a pattern may take with all names: both are a stranger's. */
const maxSteps = 3_000_000;

type Node = readonly number[];
type Ends = ReadonlySet<number>;

/**
 * Finds a pattern in texts in polynomial time, unlike `RegExp`, which goes back. Of each part of the expression, and each position of the
 * text at which it may begin, it is known at which positions it can end.
 */
export class NamePattern {
  readonly #name: string;
  readonly #nodes: readonly Node[];
  readonly #whole: number;
  #text: Uint8Array = Buffer.alloc(0);
  /** By node and position. */
  readonly #known = new Map<number, Ends>();
  #steps = 0;

  /** @param name of the pattern, for errors @throws ArgumentRangeError */
  constructor(source: string, name: string) {
    const write = new ExpressionWriter();
    this.#name = name;
    this.#whole = foundIn({ source }, write, write, name);
    this.#nodes = nodesOf(write.program);
  }

  /** @throws ArgumentRangeError for what takes too many steps */
  isFoundIn(text: string): boolean {
    this.#text = Buffer.from(text);
    this.#known.clear();
    return this.#ends(this.#whole, 0).has(this.#text.length);
  }

  #ends(node: number, from: number): Ends {
    const key = node * (this.#text.length + 1) + from;
    const known = this.#known.get(key);
    if (known) return known;
    if ((this.#steps += 1) > maxSteps)
      throw new ArgumentRangeError(`${this.#name}: it takes too long to find in the names of properties`);
    const ends = this.#compute(node, from);
    this.#known.set(key, ends);
    return ends;
  }

  #compute(node: number, from: number): Ends {
    const [op, ...rest] = this.#nodes[node]!;
    const text = this.#text;
    switch (op) {
      case undefined:
        return node === 1 ? new Set([from]) : node === 2 ? this.#all(from) : new Set();
      case ops.bytes: {
        const byte = text[from];
        return new Set(byte !== undefined && (rest[byte >> 5]! >>> (byte & 31)) & 1 ? [from + 1] : []);
      }
      case ops.text: {
        const [length, ...bytes] = rest;
        return new Set(bytes.every((byte, i) => text[from + i] === byte) ? [from + length!] : []);
      }
      case ops.concat:
        return rest.slice(1).reduce((ends, part) => this.#after(ends, part), new Set([from]) as Ends);
      case ops.either:
        return new Set(rest.slice(1).flatMap((part) => [...this.#ends(part, from)]));
      case ops.both: {
        const each = rest.slice(1).map((part) => this.#ends(part, from));
        return new Set([...this.#all(from)].filter((end) => each.every((ends) => ends.has(end))));
      }
      case ops.complement: {
        const own = this.#ends(rest[0]!, from);
        return new Set([...this.#all(from)].filter((end) => !own.has(end)));
      }
      default:
        return this.#repeated(rest, from);
    }
  }

  #repeated([of, min, most]: Node, from: number): Ends {
    const max = most === unbounded ? Infinity : most!;
    const ends = new Set<number>(min === 0 ? [from] : []);
    let at: Ends = new Set([from]);
    for (let count = 1; count <= max && at.size > 0; count++) {
      const next = this.#after(at, of!);
      // Of what may be empty nothing is lost; once nothing is added, nothing will be.
      const isStill = next.size === at.size && [...at].every((end) => next.has(end));
      if (count >= min! || isStill) for (const end of next) ends.add(end);
      if (isStill) break;
      at = next;
    }
    return ends;
  }

  #after(starts: Ends, part: number): Ends {
    return new Set([...starts].flatMap((start) => [...this.#ends(part, start)]));
  }

  #all(from: number): Ends {
    return new Set(Array.from({ length: this.#text.length - from + 1 }, (_, i) => from + i));
  }
}

/** By number; the first three are no nodes (ExpressionWriter). */
function nodesOf(program: Int32Array): readonly Node[] {
  const nodes: Node[] = [[], [], []];
  for (let at = 0; at < program.length;) {
    const op = program[at];
    const isCounted = op === ops.text || op === ops.concat || op === ops.either || op === ops.both;
    const length = op === ops.bytes ? 9 : op === ops.complement ? 2 : op === ops.repeat ? 4 : 0;
    const end = at + (isCounted ? 2 + program[at + 1]! : length);
    nodes.push([...program.subarray(at, end)]);
    at = end;
  }
  return nodes;
}
