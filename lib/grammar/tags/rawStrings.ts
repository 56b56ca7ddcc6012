/** Strings of a schema as they are, without quotes and escapes. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import type { Conjunction } from "../schema/schemaAt.js";
import { Texts } from "../schema/texts.js";
import { literalsOf, typesOf } from "../schema/values.js";

/**
 * @param list that hold together, without combinations
 * @returns undefined: none of the values is a string
 * @throws ArgumentRangeError
 */
export function rawStrings(list: Conjunction, write: ExpressionWriter): Expression | undefined {
  if (!typesOf(list).includes("string")) return undefined;
  const texts = new Texts(write, write, (text) => write.text(text));
  const valid = texts.of(list) ?? texts.any;
  const literals = literalsOf(list);
  if (!literals) return valid;
  const named = [...literals.values()].filter((value) => typeof value === "string");
  if (named.length === 0) return undefined;
  return write.both([valid, write.either(named.map((text) => write.text(text)))]);
}
