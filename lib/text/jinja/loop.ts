/** The variable `loop` inside a for block. */
import { Reader } from "./arguments.js";
import type { Budget } from "./budget.js";
import { equals } from "./comparisons.js";
import { iterate, pull } from "./iteration.js";
import { Attributes, Callable, Generator, TemplateError, Tuple, Undefined, type Value } from "./values.js";

/** One run of a for block: what it visits, read no further than the template looks. */
export class Loop {
  /** Whether `loop` has been asked for `changed`, and with what. */
  #changed: Value | undefined;
  readonly #items: Value[] | readonly Value[];
  readonly #source: Iterator<Value, unknown> | undefined;

  /**
   * @param recurse renders the block for other items; undefined without the word "recursive"
   * @throws TemplateError if the value cannot be iterated
   */
  constructor(
    value: Value,
    readonly depth: number,
    readonly budget: Budget,
    readonly recurse: ((value: Value) => Value) | undefined,
  ) {
    this.#items = value instanceof Generator ? [] : iterate(value, budget);
    this.#source = value instanceof Generator ? pull(value, budget) : undefined;
  }

  /** An item; undefined behind the last one. */
  at(index: number): Value | undefined {
    const items = this.#items as Value[];
    while (this.#source && items.length <= index) {
      const next = this.#source.next();
      if (next.done === true) break;
      this.budget.items(1);
      items.push(next.value);
    }
    return items[index];
  }

  /** Number of items; reads them all. */
  get length(): number {
    this.at(Infinity);
    return this.#items.length;
  }

  changed(value: Value): boolean {
    if (this.#changed !== undefined && equals(this.#changed, value, this.budget)) return false;
    this.#changed = value;
    return true;
  }
}

export function loopAttributes(loop: Loop, index: number): Attributes {
  const call = (args: Parameters<NonNullable<Attributes["call"]>>[0]): Value => {
    if (!loop.recurse) throw new TemplateError("loop(): the loop needs the word 'recursive'");
    return loop.recurse(new Reader("loop", ["iterable"], args).value("iterable"));
  };
  return new Attributes("LoopContext", (name) => attributes.get(name)?.(loop, index), call);
}

function itemAt(loop: Loop, index: number, which: string): Value {
  const item = index < 0 ? undefined : loop.at(index);
  return item === undefined ? new Undefined(`there is no ${which} item`) : item;
}

const attributes: ReadonlyMap<string, (loop: Loop, index: number) => Value> = new Map<
  string,
  (loop: Loop, index: number) => Value
>([
  ["index", (_, index) => index + 1],
  ["index0", (_, index) => index],
  ["revindex", ({ length }, index) => length - index],
  ["revindex0", ({ length }, index) => length - index - 1],
  ["first", (_, index) => index === 0],
  ["last", (loop, index) => loop.at(index + 1) === undefined],
  ["length", ({ length }) => length],
  ["depth", ({ depth }) => depth + 1],
  ["depth0", ({ depth }) => depth],
  ["previtem", (loop, index) => itemAt(loop, index - 1, "previous")],
  ["nextitem", (loop, index) => itemAt(loop, index + 1, "next")],
  ["changed", (loop) => new Callable("changed", ({ positional }) => loop.changed(new Tuple(positional)))],
  [
    "cycle",
    (_, index) =>
      new Callable("cycle", ({ positional }) => {
        const value = positional[index % positional.length];
        if (value === undefined) throw new TemplateError("loop.cycle() needs arguments");
        return value;
      }),
  ],
]);
