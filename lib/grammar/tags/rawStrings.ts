/** Strings of a schema as they are, without quotes and escapes. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { foundIn } from "../syntax/pattern.js";
import { formats } from "../schema/formats.js";
import { type SchemaAt, schemaError } from "../schema/refs.js";
import { literalsOf, typesOf } from "../schema/values.js";
import { lastCodePoint } from "../syntax/utf8.js";

/**
 * @param list that hold together, without combinations; their keywords are known to be supported
 * @returns undefined: none of the values is a string
 * @throws ArgumentRangeError
 */
export function rawStrings(list: readonly SchemaAt[], write: ExpressionWriter): Expression | undefined {
  if (!list.every((at) => typesOf(at).includes("string"))) return undefined;
  const parts = list.flatMap((at) => constraintsOf(at, write));
  const literals = literalsOf(list);
  if (literals) {
    const texts = literals.filter((value) => typeof value === "string");
    if (texts.length === 0) return undefined;
    parts.push(write.either(texts.map((text) => write.text(text))));
  }
  return write.both([write.repeat(write.characters([[0, lastCodePoint]])), ...parts]);
}

function constraintsOf({ schema, pointer }: SchemaAt, write: ExpressionWriter): Expression[] {
  const { minLength, maxLength, pattern, format } = schema;
  const parts: Expression[] = [];
  if (minLength !== undefined || maxLength !== undefined) {
    const [min, max] = [Number(minLength ?? 0), Number(maxLength ?? Infinity)];
    parts.push(write.repeat(write.characters([[0, lastCodePoint]]), min, max));
  }
  if (pattern !== undefined)
    parts.push(foundIn({ source: String(pattern) }, write, write, `schema: ${pointer}/pattern`));
  if (format !== undefined) {
    const source = Object.hasOwn(formats, String(format)) ? formats[String(format)] : undefined;
    if (source === undefined)
      throw schemaError(pointer, "format", `${JSON.stringify(format)} is not supported`);
    parts.push(foundIn({ source }, write));
  }
  return parts;
}
