/** Evaluates the expressions of a template. */
import { noArguments } from "./arguments.js";
import { attributeOf, call, itemOf, sliceOf } from "./attributes.js";
import type { Budget } from "./budget.js";
import { keyIn } from "./comparisons.js";
import { filterNamed, hasFilter } from "./filters.js";
import { iterate } from "./iteration.js";
import { binary, signed } from "./operators.js";
import { noItem, testOfFilter } from "./rewriting.js";
import type { Scope } from "./scope.js";
import { type Binary, type FilterName, isExpression, type Node, pathOf } from "./syntax.js";
import { holds } from "./tests.js";
import {
  type Arguments,
  Float,
  isDict,
  isTrue,
  type Key,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

const comparisons: ReadonlySet<string> = new Set(["<", "<=", ">", ">=", "==", "!=", "in", "not in"]);
const isComparison = (node: Binary): boolean => comparisons.has(node.operator.value);
const isSum = (node: Binary): boolean => node.operator.group !== undefined && !isComparison(node);
const isItem = (node: Node): boolean => node.type !== "Identifier" || node.value !== noItem;

/** True if the left side is such an operation too, without brackets of its own. */
function isJoined(
  node: Binary,
  isSame: (node: Binary) => boolean,
): node is Binary & { readonly left: Binary } {
  const { left } = node;
  return left.type === "BinaryExpression" && isSame(left) && left.operator.group === node.operator.group;
}

export class Expressions {
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** The arguments of a call, evaluated from left to right. */
  arguments(nodes: readonly Node[], scope: Scope): Arguments {
    const positional: Value[] = [];
    const named = new Map<string, Value>();
    for (const node of nodes) {
      if (node.type === "KeywordArgumentExpression")
        named.set(node.key.value, this.evaluate(node.value, scope));
      else if (node.type === "SpreadExpression") {
        for (const item of iterate(this.evaluate(node.argument, scope), this.#budget)) positional.push(item);
      } else if (node.type === "KeywordSpreadExpression") {
        const value = this.evaluate(node.argument, scope);
        if (!isDict(value))
          throw new TemplateError(`argument after ** must be a mapping, not ${typeName(value)}`);
        for (const [key, item] of value) named.set(String(key), item);
      } else positional.push(this.evaluate(node, scope));
    }
    return { positional, named };
  }

  /** `value | filter`. */
  filter(value: Value, filter: FilterName, scope: Scope): Value {
    const [name, nodes] = filter.type === "Identifier" ? [filter, []] : [filter.callee, filter.args];
    if (name.type !== "Identifier") throw new TemplateError("expected the name of a filter after |");
    const test = testOfFilter(name.value);
    if (test) return holds(test.name, value, this.arguments(nodes, scope), this.#budget) !== test.negate;
    return filterNamed(name.value)(value, this.arguments(nodes, scope), {
      budget: this.#budget,
      filterNamed,
    });
  }

  /** The value of an expression. @throws TemplateError */
  evaluate(node: Node, scope: Scope): Value {
    this.#budget.step();
    if (!isExpression(node)) throw new TemplateError(`a ${node.type} cannot stand in an expression`);
    switch (node.type) {
      case "Identifier": {
        const value = scope.get(node.value);
        return value === undefined ? new Undefined(`'${node.value}' is undefined`) : value;
      }
      case "StringLiteral":
        return node.value;
      case "IntegerLiteral":
        return node.value;
      case "FloatLiteral":
        return new Float(node.value);
      case "ArrayLiteral":
        return this.#budget.list(node.value.map((item) => this.evaluate(item, scope)));
      case "TupleLiteral":
        return new Tuple(
          this.#budget.list(node.value.filter(isItem).map((item) => this.evaluate(item, scope))),
        );
      case "ObjectLiteral": {
        this.#budget.items(node.value.size);
        const dict = new Map<Key, Value>();
        for (const [key, item] of node.value) {
          dict.set(keyIn(dict, this.evaluate(key, scope), this.#budget), this.evaluate(item, scope));
        }
        return dict;
      }
      case "MemberExpression":
        return this.#member(node, scope);
      case "CallExpression": {
        const args = this.arguments(node.args, scope);
        return call(this.evaluate(node.callee, scope), pathOf(node.callee), args);
      }
      case "FilterExpression":
        return this.filter(this.evaluate(node.operand, scope), node.filter, scope);
      case "TestExpression":
        return this.#holds(node.test.value, this.evaluate(node.operand, scope)) !== node.negate;
      case "Ternary":
        return this.evaluate(
          isTrue(this.evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr,
          scope,
        );
      case "SelectExpression":
        if (isTrue(this.evaluate(node.test, scope))) return this.evaluate(node.lhs, scope);
        return new Undefined("the inline if-expression evaluated to false and has no else");
      case "UnaryExpression": {
        const value = this.evaluate(node.argument, scope);
        return node.operator.value === "not" ? !isTrue(value) : signed(node.operator.value, value);
      }
      case "BinaryExpression":
        return this.#binary(node, scope);
    }
  }

  #holds(test: string, value: Value): boolean {
    return test === "filter" ? hasFilter(value) : holds(test, value, noArguments, this.#budget);
  }

  #binary(node: Binary, scope: Scope): Value {
    const operator = node.operator.value;
    if (isComparison(node)) return this.#compare(node, scope).holds;
    if (node.operator.group !== undefined) return this.#sum(node, scope);
    const left = this.evaluate(node.left, scope);
    if (operator === "and") return isTrue(left) ? this.evaluate(node.right, scope) : left;
    if (operator === "or") return isTrue(left) ? left : this.evaluate(node.right, scope);
    return this.#operate(node, left, this.evaluate(node.right, scope));
  }

  #operate(node: Binary, left: Value, right: Value): Value {
    return binary(node.operator.value, left, right, (side) => pathOf(node[side]), this.#budget);
  }

  /** `a < b < c` is `a < b and b < c` with b evaluated once; the library has it as `(a < b) < c`. */
  #compare(node: Binary, scope: Scope): { readonly holds: Value; readonly last: Value } {
    let before: Value;
    if (isJoined(node, isComparison)) {
      this.#budget.step();
      const { holds, last } = this.#compare(node.left, scope);
      if (!isTrue(holds)) return { holds, last };
      before = last;
    } else before = this.evaluate(node.left, scope);
    const last = this.evaluate(node.right, scope);
    return { holds: this.#operate(node, before, last), last };
  }

  /** `~` binds tighter than `+` and `-`; the library has them as equals. */
  #sum(node: Binary, scope: Scope): Value {
    const chain: Binary[] = [node];
    for (let first = node; isJoined(first, isSum); chain.push(first)) first = first.left;
    chain.reverse();
    const value = this.evaluate(chain[0]!.left, scope);
    let [total, sum]: [Value, Binary | undefined] = [value, undefined];
    let term = value;
    for (const part of chain) {
      this.#budget.step();
      const right = this.evaluate(part.right, scope);
      if (part.operator.value === "~") term = this.#operate(part, term, right);
      else {
        total = sum ? this.#operate(sum, total, term) : term;
        [sum, term] = [part, right];
      }
    }
    return sum ? this.#operate(sum, total, term) : term;
  }

  #member(
    { object: node, property, computed }: Extract<Node, { type: "MemberExpression" }>,
    scope: Scope,
  ): Value {
    const object = this.evaluate(node, scope);
    const path = (): string | undefined =>
      pathOf({ type: "MemberExpression", object: node, property, computed });
    if (property.type === "SliceExpression") {
      const parts = [property.start, property.stop, property.step];
      const bounds = parts.map((part) => part && this.evaluate(part, scope));
      return sliceOf(object, bounds, this.#budget);
    }
    if (!computed && property.type === "Identifier")
      return attributeOf(object, property.value, path, this.#budget);
    return itemOf(object, this.evaluate(property, scope), path, this.#budget);
  }
}
