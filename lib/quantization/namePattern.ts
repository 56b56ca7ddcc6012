/**
 * Regular expressions over names of modules, as configs of quantised checkpoints have them, matched in polynomial time: a config is
 * untrusted, and JavaScript's own engine can be made to run for years. Syntax is that of Python's `re` without what looks back:
 * characters, `.`, classes, groups, alternatives, repetitions, `^`, `$`, looking ahead.
 */

/** Longer ones, and longer names, are refused. */
const maxLength = 1000;
/** Of a counted repetition. */
const maxCount = 100;
const maxDepth = 50;

type Node =
  | { readonly kind: "char"; readonly accepts: (char: string) => boolean }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly min: number; readonly max: number }
  | { readonly kind: "ahead"; readonly part: Node; readonly wanted: boolean }
  | { readonly kind: "start" }
  | { readonly kind: "end" };

export class NamePattern {
  readonly #root: Node;

  /** @throws Error saying what of it is not understood */
  constructor(source: string) {
    if (source.length > maxLength) throw new Error(`longer than ${maxLength} characters`);
    this.#root = new Parser(source).parse();
  }

  /** Whether a name begins like this: `re.match`. */
  matches(name: string): boolean {
    return name.length <= maxLength && new Matcher(name).ends(this.#root, 0) !== 0n;
  }
}

const digits = /[0-9]/;
const word = /\w/;
const space = /\s/;
const classes: Readonly<Record<string, (char: string) => boolean>> = {
  d: (char) => digits.test(char),
  D: (char) => !digits.test(char),
  w: (char) => word.test(char),
  W: (char) => !word.test(char),
  s: (char) => space.test(char),
  S: (char) => !space.test(char),
};

class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Node {
    const root = this.#choice(0);
    if (this.#at < this.#source.length) throw this.#unknown(") without (");
    return root;
  }

  #choice(depth: number): Node {
    if (depth > maxDepth) throw this.#unknown(`more than ${maxDepth} groups in each other`);
    const parts = [this.#sequence(depth)];
    while (this.#take("|")) parts.push(this.#sequence(depth));
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #sequence(depth: number): Node {
    const parts: Node[] = [];
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at]!))
      parts.push(this.#repeated(this.#atom(depth)));
    return { kind: "sequence", parts };
  }

  #repeated(part: Node): Node {
    const counted = /^\{(\d*)(,?)(\d*)\}/.exec(this.#source.slice(this.#at, this.#at + 20));
    let [min, max] = [1, 1];
    if (this.#take("*")) [min, max] = [0, Infinity];
    else if (this.#take("+")) [min, max] = [1, Infinity];
    else if (this.#take("?")) [min, max] = [0, 1];
    else if (counted && (counted[1] || counted[3])) {
      this.#at += counted[0].length;
      min = Number(counted[1] || 0);
      max = counted[2] ? Number(counted[3] || Infinity) : min;
      const isSmall = min <= maxCount && (max <= maxCount || max === Infinity) && min <= max;
      if (!isSmall) throw this.#unknown(`${counted[0]}: counts are 0 to ${maxCount}`);
    } else return part;
    this.#take("?"); // lazy: matches the same
    if (/[*+?]/.test(this.#source[this.#at] ?? "")) throw this.#unknown("a repetition of a repetition");
    return { kind: "repeat", part, min, max };
  }

  #atom(depth: number): Node {
    const char = this.#source[this.#at++]!;
    switch (char) {
      case "(":
        return this.#group(depth);
      case "[":
        return this.#class();
      case "\\":
        return this.#escaped();
      case ".":
        return { kind: "char", accepts: (other) => other !== "\n" };
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case "*":
      case "+":
      case "?":
        throw this.#unknown(`${char} behind nothing`);
      default:
        return { kind: "char", accepts: (other) => other === char };
    }
  }

  #group(depth: number): Node {
    const wanted = this.#take("?=");
    const ahead = wanted || this.#take("?!");
    if (!ahead && !this.#take("?:") && this.#source[this.#at] === "?")
      throw this.#unknown(`(${this.#source.slice(this.#at, this.#at + 3)}`);
    const part = this.#choice(depth + 1);
    if (!this.#take(")")) throw this.#unknown("( without )");
    return ahead ? { kind: "ahead", part, wanted } : part;
  }

  #escaped(): Node {
    const char = this.#source[this.#at++];
    if (char === undefined) throw this.#unknown("\\ at the end");
    if (Object.hasOwn(classes, char)) return { kind: "char", accepts: classes[char]! };
    if (char === "Z") return { kind: "end" };
    if (/\w/.test(char)) throw this.#unknown(`\\${char}`);
    return { kind: "char", accepts: (other) => other === char };
  }

  #class(): Node {
    const negated = this.#take("^");
    const accepted: ((char: string) => boolean)[] = [];
    for (let isFirst = true; isFirst || this.#source[this.#at] !== "]"; isFirst = false) {
      const low = this.#classItem();
      if (typeof low === "function") accepted.push(low);
      else if (this.#source[this.#at] === "-" && (this.#source[this.#at + 1] ?? "]") !== "]") {
        this.#at++;
        const high = this.#classItem();
        if (typeof high === "function" || high < low) throw this.#unknown("a range of a class");
        accepted.push((char) => low <= char && char <= high);
      } else accepted.push((char) => char === low);
    }
    this.#at++;
    return { kind: "char", accepts: (char) => accepted.some((accepts) => accepts(char)) !== negated };
  }

  #classItem(): string | ((char: string) => boolean) {
    const char = this.#source[this.#at++];
    if (char === undefined) throw this.#unknown("[ without ]");
    if (char !== "\\") return char;
    const escaped = this.#source[this.#at++] ?? "";
    if (Object.hasOwn(classes, escaped)) return classes[escaped]!;
    if (escaped === "" || /\w/.test(escaped)) throw this.#unknown(`\\${escaped} in a class`);
    return escaped;
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #unknown(what: string): Error {
    return new Error(`not understood: ${what}`);
  }
}

/** Where parts of a pattern can end in one name, as sets of positions: bit p of a number. Each is found once. */
class Matcher {
  readonly #name: string;
  readonly #known = new Map<Node, (bigint | undefined)[]>();

  constructor(name: string) {
    this.#name = name;
  }

  /** Of a match that begins at a position. */
  ends(node: Node, at: number): bigint {
    let known = this.#known.get(node);
    if (!known) this.#known.set(node, (known = []));
    return (known[at] ??= this.#find(node, at));
  }

  #find(node: Node, at: number): bigint {
    const here = 1n << BigInt(at);
    const isEnd = at === this.#name.length;
    switch (node.kind) {
      case "char":
        return !isEnd && node.accepts(this.#name[at]!) ? here << 1n : 0n;
      case "start":
        return at === 0 ? here : 0n;
      case "end":
        return isEnd ? here : 0n;
      case "ahead":
        return (this.ends(node.part, at) !== 0n) === node.wanted ? here : 0n;
      case "choice":
        return node.parts.reduce((all, part) => all | this.ends(part, at), 0n);
      case "sequence":
        return node.parts.reduce((from, part) => this.#endsOfAll(part, from), here);
      case "repeat":
        return this.#repeated(node, here);
    }
  }

  #repeated({ part, min, max }: Node & { readonly kind: "repeat" }, here: bigint): bigint {
    let last = here;
    for (let i = 0; i < min && last !== 0n; i++) last = this.#endsOfAll(part, last);
    let all = last;
    for (let i = min; i < max && last !== 0n; i++) {
      last = this.#endsOfAll(part, last) & ~all; // from where it has been nothing new comes
      all |= last;
    }
    return all;
  }

  #endsOfAll(part: Node, from: bigint): bigint {
    let all = 0n;
    for (let at = 0, rest = from; rest !== 0n; at++, rest >>= 1n) if (rest & 1n) all |= this.ends(part, at);
    return all;
  }
}
