/** What stands behind `is`, and the tests that filters take by name. */
import { Reader } from "./arguments.js";
import type { Budget } from "./budget.js";
import { compare, equals } from "./comparisons.js";
import { contains } from "./operators.js";
import { textOf } from "./text.js";
import {
  type Arguments,
  Attributes,
  Callable,
  Float,
  Generator,
  isDict,
  numberOf,
  sequenceOf,
  TemplateError,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

type Test = (value: Value, argument: Value, budget: Budget) => boolean;

const ordered =
  (holds: (order: number) => boolean): Test =>
  (a, b, budget) =>
    holds(compare(a, b, budget));
const equal: Test = (a, b, budget) => equals(a, b, budget);
const less = ordered((order) => order < 0);
const lessOrEqual = ordered((order) => order <= 0);
const greater = ordered((order) => order > 0);
const greaterOrEqual = ordered((order) => order >= 0);

const remainder = (value: Value, by: Value): number => {
  const [a, b] = [numberOf(value), numberOf(by)];
  if (typeof value === "bigint" && b !== undefined && Number.isSafeInteger(b) && b !== 0) {
    return Number(((value % BigInt(b)) + BigInt(b)) % BigInt(b));
  }
  if (a === undefined || b === undefined)
    throw new TemplateError("odd, even, divisibleby: expected a number");
  return a - b * Math.floor(a / b);
};

/** What a value prints as; an iterator and a function as "<...>". */
function printed(value: Value, budget: Budget): string {
  const isAddress = value instanceof Generator || value instanceof Callable;
  const text = isAddress ? `<${typeName(value)}>` : textOf(value, budget);
  budget.string(3 * text.length);
  return budget.plain(text);
}

function isSequence(value: Value): boolean {
  if (typeof value === "string" || value instanceof Undefined || isDict(value)) return true;
  return value instanceof View ? value.name === "range" : sequenceOf(value) !== undefined;
}

const table: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === "boolean",
  // The empty value of an unknown name can be called in Python, which is an error then.
  callable: (value) =>
    value instanceof Callable || value instanceof Undefined || (value instanceof Attributes && !!value.call),
  defined: (value) => !(value instanceof Undefined),
  divisibleby: (value, by) => remainder(value, by) === 0,
  eq: equal,
  equalto: equal,
  "==": equal,
  even: (value) => remainder(value, 2) === 0,
  false: (value) => value === false,
  float: (value) => value instanceof Float,
  ge: greaterOrEqual,
  ">=": greaterOrEqual,
  greaterthan: greater,
  gt: greater,
  ">": greater,
  in: (value, container, budget) => contains(container, value, budget),
  integer: (value) => typeof value === "number" || typeof value === "bigint",
  iterable: (value) => value instanceof Generator || value instanceof View || isSequence(value),
  le: lessOrEqual,
  "<=": lessOrEqual,
  lessthan: less,
  lt: less,
  "<": less,
  lower: (value, _, budget) => {
    const text = printed(value, budget);
    return text === text.toLowerCase() && text !== text.toUpperCase();
  },
  mapping: isDict,
  ne: (a, b, budget) => !equals(a, b, budget),
  "!=": (a, b, budget) => !equals(a, b, budget),
  none: (value) => value === null,
  number: (value) => numberOf(value) !== undefined || typeof value === "bigint",
  odd: (value) => remainder(value, 2) === 1,
  sameas: (a, b) => a === b,
  // Jinja asks for a length and for items by index; a dict has both, and so has the empty value of an unknown name.
  sequence: isSequence,
  test: (name) => typeof name === "string" && tests.has(name),
  string: (value) => typeof value === "string",
  true: (value) => value === true,
  undefined: (value) => value instanceof Undefined,
  upper: (value, _, budget) => {
    const text = printed(value, budget);
    return text === text.toUpperCase() && text !== text.toLowerCase();
  },
};

const tests: ReadonlyMap<string, Test> = new Map(Object.entries(table));

/** @throws TemplateError if there is no such test */
export function testNamed(name: string): Test {
  const test = tests.get(name);
  if (!test) throw new TemplateError(`there is no test named '${name}'`);
  return test;
}

/** What a test calls its argument; the others have none. */
const parameters: Readonly<Record<string, string>> = {
  ...{ divisibleby: "num", in: "seq", sameas: "other", eq: "b", equalto: "b", ne: "b", ge: "b", gt: "b" },
  ...{ greaterthan: "b", le: "b", lt: "b", lessthan: "b" },
};

/** `value is name(args)`. @throws TemplateError for a test or an argument that there is not, or one that is missing */
export function holds(name: string, value: Value, args: Arguments, budget: Budget): boolean {
  const test = testNamed(name);
  const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  const reader = new Reader(`test ${name}`, parameter === undefined ? [] : [parameter], args);
  return test(value, parameter === undefined ? null : reader.value(parameter), budget);
}
