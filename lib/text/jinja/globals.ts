/** The functions that every template can call, as transformers and Jinja provide them. */
import { Reader } from "./arguments.js";
import { Budget } from "./budget.js";
import { keyIn } from "./comparisons.js";
import { iterate } from "./iteration.js";
import { emptyTuple, noItem } from "./rewriting.js";
import { recursiveName, withName } from "./statements.js";
import { strftime } from "./strftime.js";
import { textOf } from "./text.js";
import {
  type Arguments,
  Attributes,
  Callable,
  isDict,
  type Key,
  Namespace,
  TemplateError,
  Tuple,
  type Value,
  View,
} from "./values.js";

/** The sandbox of Jinja makes no longer ranges. */
const maxRange = 100_000;

/** @param now the time that `strftime_now` prints */
export function globalFunctions(budget: Budget, now: Date): ReadonlyMap<string, Value> {
  const functions: readonly (readonly [string, (args: Arguments) => Value])[] = [
    ["range", (args) => range(args, budget)],
    ["dict", (args) => toDict("dict", args, budget)],
    ["namespace", (args) => new Namespace(toDict("namespace", args, budget) as Map<string, Value>)],
    ["cycler", ({ positional }) => cycler(positional)],
    ["joiner", (args) => joiner(new Reader("joiner", ["sep"], args).string("sep", ", "))],
    ["strftime_now", (args) => strftime(now, new Reader("strftime_now", ["format"], args).string("format"))],
    [
      "raise_exception",
      (args) => {
        throw new TemplateError(
          textOf(new Reader("raise_exception", ["message"], args).value("message"), budget),
        );
      },
    ],
  ];
  const constants: readonly (readonly [string, Value])[] = [
    ...([
      ["true", true],
      ["True", true],
      ["false", false],
      ["False", false],
    ] as const),
    ...([
      ["none", null],
      ["None", null],
    ] as const),
    [emptyTuple, new Tuple([])],
    [recursiveName, ""],
    [withName, null],
    [noItem, null],
  ];
  return new Map([
    ...constants,
    ...functions.map(([name, call]) => [name, new Callable(name, call)] as const),
  ]);
}

/** Names that mean something in every template. */
export const globalNames: ReadonlySet<string> = new Set(globalFunctions(new Budget(), new Date()).keys());

function range({ positional, named }: Arguments, budget: Budget): Value {
  const names = positional.length === 1 ? ["stop"] : ["start", "stop", "step"];
  const read = new Reader("range", names, { positional, named });
  const [start, stop] = [read.integer("start", 0), read.integer("stop")];
  const step = read.integer("step", 1);
  if (step === 0) throw new TemplateError("range(): step: expected anything but 0");
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > maxRange)
    throw new TemplateError(`range(): expected at most ${maxRange} numbers, got ${length}`);
  budget.items(length);
  const bounds = step === 1 ? `${start}, ${stop}` : `${start}, ${stop}, ${step}`;
  const numbers = Array.from({ length }, (_, i) => start + i * step);
  return new View("range", numbers, `range(${bounds})`);
}

function toDict(what: string, { positional, named }: Arguments, budget: Budget): Map<Key, Value> {
  const [first = [], ...rest] = positional;
  if (rest.length > 0)
    throw new TemplateError(`${what}() takes at most 1 argument, got ${positional.length}`);
  const pairs = isDict(first) ? [...first] : iterate(first, budget).map((pair) => iterate(pair, budget));
  budget.items(pairs.length + named.size);
  const dict = new Map<Key, Value>();
  for (const [key, value] of pairs) {
    if (key === undefined || value === undefined) throw new TemplateError(`${what}(): expected pairs`);
    dict.set(keyIn(dict, key, budget), value);
  }
  for (const [key, value] of named) dict.set(key, value);
  return dict;
}

function cycler(items: readonly Value[]): Value {
  if (items.length === 0) throw new TemplateError("cycler(): expected at least one item");
  let at = 0;
  const next = new Callable("next", () => items[at++ % items.length]!);
  const reset = new Callable("reset", () => ((at = 0), null));
  return new Attributes("cycler", (name) => {
    if (name === "current") return items[at % items.length];
    return name === "next" ? next : name === "reset" ? reset : undefined;
  });
}

function joiner(separator: string): Value {
  let isFirst = true;
  return new Callable("joiner", () => {
    const text = isFirst ? "" : separator;
    isFirst = false;
    return text;
  });
}
