/** Whether no value can be valid for schemas, or for both of two: what `oneOf` needs to be the same as `anyOf`. */
import { isRecord } from "./resources.js";
import { child, type Conjunction, isEmpty } from "./schemaAt.js";
import { literalsOf, namesOf, typeOf, typesOf } from "./values.js";

/** Of properties within properties. */
const maxDepth = 4;

/** Takes a conjunction apart. */
export type Alternatives = (conjunction: Conjunction) => readonly Conjunction[];

/** True only where it is certain that no value is valid for all of them. @throws ArgumentRangeError */
export function isImpossible(list: Conjunction): boolean {
  const types = typesOf(list);
  const literals = literalsOf(list);
  if (literals ? ![...literals.values()].some((one) => types.includes(typeOf(one))) : types.length === 0)
    return true;
  if (types.some((type) => type !== "object")) return false;
  return list.flatMap(namesOf).some((name) => propertyOf(list, name).some(isEmpty));
}

/** True only where it is certain. Neither has references and combinations. @throws ArgumentRangeError */
export function areDisjoint(a: Conjunction, b: Conjunction, alternatives: Alternatives, depth = 0): boolean {
  const both = [...a, ...b];
  if (isImpossible(both)) return true;
  if (depth >= maxDepth || typesOf(both).some((type) => type !== "object")) return false;
  const required = new Set(both.flatMap(namesOf));
  return [...required].some((name) => {
    const [left, right] = [propertyOf(a, name), propertyOf(b, name)].map(alternatives);
    return left!.every((one) => right!.every((other) => areDisjoint(one, other, alternatives, depth + 1)));
  });
}

function propertyOf(list: Conjunction, name: string): Conjunction {
  return list.flatMap((at) => {
    const { properties } = at.schema;
    return isRecord(properties) && Object.hasOwn(properties, name) ? [child(at, "properties", name)] : [];
  });
}
