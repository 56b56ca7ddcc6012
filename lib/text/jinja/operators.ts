/** The operators of expressions, as Python has them. */
import { noArguments } from "./arguments.js";
import type { Budget } from "./budget.js";
import { compare, equals, keyIn } from "./comparisons.js";
import { pull } from "./iteration.js";
import { percentFormat } from "./printf.js";
import { textOf } from "./text.js";
import {
  type Arguments,
  Float,
  isDict,
  isList,
  numberOf,
  sequenceOf,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/**
 * @param path how the template names a side, for messages; undefined for longer expressions
 * @throws TemplateError for values that the operator does not take
 */
export function binary(
  operator: string,
  left: Value,
  right: Value,
  path: (side: "left" | "right") => string | undefined,
  budget: Budget,
): Value {
  switch (operator) {
    case "==":
      return equals(left, right, budget);
    case "!=":
      return !equals(left, right, budget);
    case "in":
      return contains(right, left, budget);
    case "not in":
      return !contains(right, left, budget);
    case "~":
      return concatenate(textOf(left, budget), textOf(right, budget), budget);
    case "<":
      return compare(left, right, budget) < 0;
    case "<=":
      return compare(left, right, budget) <= 0;
    case ">":
      return compare(left, right, budget) > 0;
    case ">=":
      return compare(left, right, budget) >= 0;
  }
  for (const value of [left, right]) if (value instanceof Undefined) throw new TemplateError(value.hint);
  const result = combine(operator, left, right, budget) ?? arithmetic(operator, left, right);
  if (result !== undefined) return result;
  const side = (value: Value, name: string | undefined): string =>
    name === undefined ? typeName(value) : `${typeName(value)} (${name})`;
  const types = `${side(left, path("left"))} and ${side(right, path("right"))}`;
  throw new TemplateError(`the operator ${operator} does not take ${types}`);
}

function concatenate(left: string, right: string, budget: Budget): string {
  budget.length(left.length + right.length);
  return left + right;
}

/** `+`, `*` and `%` of strings and lists. */
function combine(operator: string, left: Value, right: Value, budget: Budget): Value | undefined {
  if (operator === "%" && typeof left === "string") return formatted(left, right, budget);
  if (operator === "*") return repeat(left, right, budget) ?? repeat(right, left, budget);
  if (operator !== "+") return undefined;
  if (typeof left === "string" && typeof right === "string") return concatenate(left, right, budget);
  const [a, b] = [sequenceOf(left), sequenceOf(right)];
  if (!a || !b || isList(left) !== isList(right)) return undefined;
  budget.items(a.length + b.length);
  return isList(left) ? [...a, ...b] : new Tuple([...a, ...b]);
}

function formatted(format: string, value: Value, budget: Budget): Value {
  const run = (on: Value, { positional: [given] }: Arguments): Value =>
    percentFormat(on as string, given!, budget);
  const args = { positional: [value], named: noArguments.named };
  return budget.paint ? budget.paint.guard(run, format, args) : run(format, args);
}

function repeat(value: Value, times: Value, budget: Budget): Value | undefined {
  const count = typeof times === "boolean" ? Number(times) : times;
  if (typeof count !== "number") return undefined;
  if (typeof value === "string") {
    budget.string(value.length * Math.max(0, count));
    return value.repeat(Math.max(0, count));
  }
  const items = sequenceOf(value);
  if (!items) return undefined;
  const length = items.length * Math.max(0, count);
  budget.items(length);
  const repeated = Array.from({ length }, (_, i) => items[i % items.length]!);
  return isList(value) ? repeated : new Tuple(repeated);
}

function arithmetic(operator: string, left: Value, right: Value): Value | undefined {
  if (typeof left === "bigint" || typeof right === "bigint") {
    throw new TemplateError(`${operator}: whole numbers beyond 2^53 can be printed and compared only`);
  }
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined) return undefined;
  if (b === 0 && (operator === "/" || operator === "//" || operator === "%")) {
    throw new TemplateError("division by zero");
  }
  const result = calculate(operator, a, b);
  if (result === undefined) return undefined;
  const isFloat =
    left instanceof Float || right instanceof Float || operator === "/" || (operator === "**" && b < 0);
  if (isFloat) return new Float(result);
  // Python's integers have no limit; beyond this one the result would be a silently rounded one.
  if (!Number.isSafeInteger(result)) throw new TemplateError(`${operator}: the result is beyond 2^53`);
  return result;
}

/** With the sign of the divisor, and exact, as C's fmod is. */
function remainder(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

/** By what the remainder leaves: 1 // 0.1 is 9. */
function floorDivide(a: number, b: number): number {
  const quotient = (a - remainder(a, b)) / b;
  const whole = Math.floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

function calculate(operator: string, a: number, b: number): number | undefined {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "//":
      return floorDivide(a, b);
    case "%":
      return remainder(a, b);
    case "**":
      return a ** b;
    default:
      return undefined;
  }
}

/** `item in container`. */
export function contains(container: Value, item: Value, budget: Budget): boolean {
  if (typeof container === "string") {
    if (item instanceof Undefined) throw new TemplateError(item.hint);
    if (typeof item !== "string") {
      throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    }
    budget.characters(container.length + item.length);
    return container.includes(item) || budget.plain(container).includes(budget.plain(item));
  }
  if (isDict(container)) return !(item instanceof Undefined) && container.has(keyIn(container, item, budget));
  for (const other of pull(container, budget)) if (equals(other, item, budget)) return true;
  return false;
}

/** `-value` or `+value`. @throws TemplateError */
export function signed(operator: string, value: Value): Value {
  if (typeof value === "bigint") return operator === "-" ? -value : value;
  const number = numberOf(value);
  if (number === undefined) {
    const hint =
      value instanceof Undefined ? value.hint : `bad operand type for unary ${operator}: ${typeName(value)}`;
    throw new TemplateError(hint);
  }
  const result = operator === "-" ? -number : number;
  return value instanceof Float ? new Float(result) : result + 0;
}
