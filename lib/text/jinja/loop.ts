/** The variable `loop` inside a for block. */
import { Attributes, Callable, TemplateError, Undefined, type Value } from "./values.js";

export function loopAttributes(items: readonly Value[], index: number): Attributes {
  return new Attributes("LoopContext", (name) => attributes.get(name)?.(items, index));
}

function itemAt(items: readonly Value[], index: number, which: string): Value {
  const item = items[index];
  return item === undefined ? new Undefined(`there is no ${which} item`) : item;
}

const attributes: ReadonlyMap<string, (items: readonly Value[], index: number) => Value> = new Map<
  string,
  (items: readonly Value[], index: number) => Value
>([
  ["index", (_, index) => index + 1],
  ["index0", (_, index) => index],
  ["revindex", ({ length }, index) => length - index],
  ["revindex0", ({ length }, index) => length - index - 1],
  ["first", (_, index) => index === 0],
  ["last", ({ length }, index) => index === length - 1],
  ["length", ({ length }) => length],
  ["previtem", (items, index) => itemAt(items, index - 1, "previous")],
  ["nextitem", (items, index) => itemAt(items, index + 1, "next")],
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
