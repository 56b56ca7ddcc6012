/** Runs a parsed template: statements, scopes, macros, calls and expressions. */
import { call } from "./attributes.js";
import { Budget, TextBuilder } from "./budget.js";
import { Expressions } from "./expressions.js";
import { globalFunctions } from "./globals.js";
import { iterate, pull } from "./iteration.js";
import { generate } from "./listFilters.js";
import { Loop, loopAttributes } from "./loop.js";
import { bindParameters, readsName } from "./macros.js";
import type { Paint } from "./paint.js";
import { Scope } from "./scope.js";
import {
  type Block,
  type CallBlock,
  type FilterBlock,
  type For,
  type If,
  isRecursive,
  isStatement,
  type Macro,
  type Node,
  pathOf,
  type SetNode,
  type Statement,
  withArguments,
} from "./syntax.js";
import { textOf } from "./text.js";
import { Callable, isTrue, Namespace, TemplateError, typeName, type Value } from "./values.js";

type Flow = "break" | "continue" | undefined;

export interface RenderOptions {
  readonly now?: Date;
  /** How texts of others are told from the template's; in the result as well. Undefined if nobody asks. */
  readonly paint?: Paint | undefined;
}

/** Renders a template. @throws TemplateError, or RangeError where V8's stack is too small for its nesting */
export function render(
  body: Block,
  variables: ReadonlyMap<string, Value>,
  options: RenderOptions = {},
): string {
  const interpreter = new Interpreter(options);
  return interpreter.run(body, variables);
}

class Interpreter {
  readonly #budget: Budget;
  readonly #globals: ReadonlyMap<string, Value>;
  readonly #expressions: Expressions;

  constructor({ now = new Date(), paint }: RenderOptions) {
    this.#budget = new Budget(paint);
    this.#globals = globalFunctions(this.#budget, now);
    this.#expressions = new Expressions(this.#budget);
  }

  run(body: Block, variables: ReadonlyMap<string, Value>): string {
    const scope = new Scope();
    for (const [name, value] of [...this.#globals, ...variables]) scope.set(name, value);
    return this.#capture(body, new Scope(scope));
  }

  /** The text of a block. */
  #capture(body: Block, scope: Scope): string {
    const out = new TextBuilder(this.#budget);
    this.#block(body, scope, out);
    return out.toString();
  }

  #block(body: Block, scope: Scope, out: TextBuilder): Flow {
    for (const node of body) {
      this.#budget.step();
      const flow = isStatement(node) ? this.#statement(node, scope, out) : this.#print(node, scope, out);
      if (flow) return flow;
    }
    return undefined;
  }

  #print(node: Node, scope: Scope, out: TextBuilder): undefined {
    out.add(textOf(this.#evaluate(node, scope), this.#budget));
  }

  #statement(node: Statement, scope: Scope, out: TextBuilder): Flow {
    switch (node.type) {
      case "If":
        if (withArguments(node.test)) return this.#with(node, withArguments(node.test)!, scope, out);
        return this.#block(isTrue(this.#evaluate(node.test, scope)) ? node.body : node.alternate, scope, out);
      case "For":
        this.#for(node, scope, out);
        return undefined;
      case "Set":
        this.#set(node, scope);
        return undefined;
      case "Macro":
        scope.set(node.name.value, this.#macro(node.name.value, node, scope));
        return undefined;
      case "CallStatement":
        out.add(textOf(this.#callBlock(node, scope), this.#budget));
        return undefined;
      case "FilterStatement":
        out.add(textOf(this.#filterBlock(node, scope), this.#budget));
        return undefined;
      case "Break":
        return "break";
      case "Continue":
        return "continue";
      case "Comment":
        return undefined;
    }
  }

  #with({ body, alternate }: If, values: readonly Node[], scope: Scope, out: TextBuilder): Flow {
    const { positional, named } = this.#expressions.arguments(values, scope);
    if (positional.length > 0 || alternate.length > 0)
      throw new TemplateError("with: expected names and values");
    const inner = new Scope(scope);
    for (const [name, value] of named) inner.set(name, value);
    return this.#block(body, inner, out);
  }

  #for(node: For, scope: Scope, out: TextBuilder): void {
    const { iterable: source } = node;
    const list = source.type === "SelectExpression" ? source.lhs : source;
    this.#loop(node, this.#evaluate(list, scope), 0, scope, out);
  }

  #loop(node: For, value: Value, depth: number, scope: Scope, out: TextBuilder): void {
    const { iterable: source } = node;
    const [list, test] = source.type === "SelectExpression" ? [source.lhs, source.test] : [source, undefined];
    if (value === null || typeof value === "boolean" || typeof value === "number") {
      throw new TemplateError(`${pathOf(list) ?? "a loop"}: '${typeName(value)}' object is not iterable`);
    }
    const open = (item: Value): Scope => {
      const inner = new Scope(scope);
      this.#assign(node.loopvar, item, inner);
      return inner;
    };
    const items = test ? this.#tested(value, (item) => this.#evaluate(test, open(item))) : value;
    const recurse = (next: Value): Value => {
      const text = new TextBuilder(this.#budget);
      this.#loop(node, next, depth + 1, scope, text);
      return text.toString();
    };
    const loop = new Loop(items, depth, this.#budget, isRecursive(node) ? recurse : undefined);
    // Jinja's: "else" is for a loop of which no turn came to its end, also where each was continued or broken.
    let isComplete = false;
    for (let [i, item] = [0, loop.at(0)]; item !== undefined; item = loop.at(++i)) {
      this.#budget.step();
      const inner = open(item);
      inner.set("loop", loopAttributes(loop, i));
      const flow = this.#block(node.body, inner, out);
      if (flow === "break") break;
      if (flow === undefined) isComplete = true;
    }
    if (!isComplete) this.#block(node.defaultBlock, new Scope(scope), out);
  }

  /** The items that pass the test of a loop, each tested when its turn comes. */
  #tested(value: Value, test: (item: Value) => Value): Value {
    const budget = this.#budget;
    return generate(function* () {
      for (const item of pull(value, budget)) if (isTrue(test(item))) yield item;
    });
  }

  #set(node: SetNode, scope: Scope): void {
    const value = node.value ? this.#evaluate(node.value, scope) : this.#capture(node.body, new Scope(scope));
    if (node.assignee.type !== "MemberExpression") {
      this.#assign(node.assignee, value, scope);
      return;
    }
    const object = this.#evaluate(node.assignee.object, scope);
    const { property } = node.assignee;
    if (!(object instanceof Namespace) || property.type !== "Identifier") {
      const path = pathOf(node.assignee) ?? "set";
      throw new TemplateError(
        `${path}: only the fields of a namespace can be set, not those of a ${typeName(object)}`,
      );
    }
    object.fields.set(property.value, value);
  }

  #assign(target: Node, value: Value, scope: Scope): void {
    if (target.type === "Identifier") {
      scope.set(target.value, value);
      return;
    }
    if (target.type !== "TupleLiteral")
      throw new TemplateError("only names and tuples of names can be assigned");
    const items = iterate(value, this.#budget);
    if (items.length !== target.value.length) {
      throw new TemplateError(`expected ${target.value.length} values to unpack, got ${items.length}`);
    }
    for (const [i, part] of target.value.entries()) this.#assign(part, items[i]!, scope);
  }

  #macro(name: string, { args, body }: Pick<Macro, "args" | "body">, scope: Scope): Callable {
    const isParameter = args.some((arg) => (arg.type === "Identifier" ? arg : arg.key).value === "caller");
    const takesCaller = !isParameter && readsName(body, "caller");
    const specials = ["kwargs", "varargs"].filter((special) => readsName(body, special));
    return new Callable(name, (given) => {
      this.#budget.step();
      const inner = new Scope(scope);
      const named = new Map(given.named);
      const caller = named.get("caller");
      if (takesCaller && caller !== undefined) {
        inner.set("caller", caller);
        named.delete("caller");
      }
      const evaluate = (node: Node): Value => this.#evaluate(node, inner);
      bindParameters(
        name,
        args,
        { positional: given.positional, named },
        specials,
        evaluate,
        (key, value) => {
          inner.set(key, value);
        },
      );
      return this.#capture(body, inner);
    });
  }

  #filterBlock({ body, filter }: FilterBlock, scope: Scope): Value {
    return this.#expressions.filter(this.#capture(body, new Scope(scope)), filter, scope);
  }

  #evaluate(node: Node, scope: Scope): Value {
    return this.#expressions.evaluate(node, scope);
  }

  #callBlock(node: CallBlock, scope: Scope): Value {
    const caller = this.#macro("caller", { args: node.callerArgs ?? [], body: node.body }, scope);
    const { positional, named } = this.#expressions.arguments(node.call.args, scope);
    const args = { positional, named: new Map<string, Value>([...named, ["caller", caller]]) };
    return call(this.#evaluate(node.call.callee, scope), pathOf(node.call.callee), args);
  }
}
