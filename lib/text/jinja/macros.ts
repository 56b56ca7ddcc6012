/** How the parameters of macros and call blocks get their values. */
import { type Block, type Node, type Parameter, variablesRead } from "./syntax.js";
import { type Arguments, TemplateError, Tuple, Undefined, type Value } from "./values.js";

/** True if a block reads the variable. */
export function readsName(body: Block, name: string): boolean {
  return variablesRead(body).has(name);
}

/**
 * @param specials those of "kwargs" and "varargs" that the body reads: they take the arguments that are left
 * @param evaluate of default values, which may read parameters before them
 * @throws TemplateError for arguments that the macro does not have
 */
export function bindParameters(
  name: string,
  parameters: readonly Parameter[],
  { positional, named }: Arguments,
  specials: readonly string[],
  evaluate: (node: Node) => Value,
  set: (name: string, value: Value) => void,
): void {
  const rest = new Map(named);
  for (const [i, parameter] of parameters.entries()) {
    const [key, fallback] =
      parameter.type === "Identifier" ? [parameter.value, undefined] : [parameter.key.value, parameter.value];
    const value = positional[i] ?? (i < positional.length ? null : rest.get(key));
    rest.delete(key);
    if (value !== undefined) set(key, value);
    else set(key, fallback ? evaluate(fallback) : new Undefined(`parameter '${key}' was not provided`));
  }
  const extra = positional.slice(parameters.length);
  if (specials.includes("kwargs")) set("kwargs", rest);
  else if (rest.size > 0)
    throw new TemplateError(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
  if (specials.includes("varargs")) set("varargs", new Tuple(extra));
  else if (extra.length > 0)
    throw new TemplateError(`macro '${name}' takes at most ${parameters.length} arguments`);
}
