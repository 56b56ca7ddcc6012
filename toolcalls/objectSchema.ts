/** Schemas of arguments, which are an object whether the schema says it or not. */
import { ArgumentRangeError } from "../lib/index.js";

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The schema with that said. It stays the root, which its references count from.
 *
 * @param name of the field, for errors
 * @throws ArgumentRangeError where no object can be valid for it
 */
export function objectSchema(parameters: object, name: string): object {
  const place = placeWithoutObject(parameters);
  if (place !== undefined) throw new ArgumentRangeError(`${name}: ${place}: expected a schema of objects`);
  const { type, allOf = [] } = parameters as { readonly type?: unknown; readonly allOf?: unknown };
  if (type === undefined) return { type: "object", ...parameters };
  if (type === "object" || !Array.isArray(allOf)) return parameters; // what is wrong with it the compiler says
  return { ...parameters, allOf: [...(allOf as unknown[]), { type: "object" }] };
}

/** The pointer of a keyword that no object is valid for. */
function placeWithoutObject(schema: unknown): string | undefined {
  if (!isObject(schema)) return undefined;
  const { type, anyOf, oneOf, allOf, ...others } = schema as Readonly<Record<string, unknown>>;
  if (typeof type === "string" ? type !== "object" : Array.isArray(type) && !type.includes("object"))
    return "/type";
  if (Array.isArray(others["enum"]) && !others["enum"].some(isObject)) return "/enum";
  if ("const" in others && !isObject(others["const"])) return "/const";
  const isWithout = (one: unknown): boolean => placeWithoutObject(one) !== undefined;
  for (const [key, list] of Object.entries({ anyOf, oneOf }))
    if (Array.isArray(list) && list.length > 0 && list.every(isWithout)) return `/${key}`;
  const at = Array.isArray(allOf) ? allOf.findIndex(isWithout) : -1;
  return at < 0 ? undefined : `/allOf/${at}`;
}
