/** Which JSON types the schema of a tool allows for each of its arguments. Needed where a family writes values as raw text. */
import { functionOf, type ToolDefinition } from "./events.js";

export type JsonType = "string" | "number" | "boolean" | "null" | "object" | "array";

/** Types of one argument; undefined where the schema says nothing. */
export type TypesOf = (key: string) => ReadonlySet<JsonType> | undefined;

type Schema = Readonly<Record<string, unknown>>;

const typeNames: Readonly<Record<string, JsonType>> = {
  ...{ string: "string", number: "number", integer: "number", boolean: "boolean", null: "null" },
  ...{ object: "object", array: "array" },
};
/** Schemas within schemas and references: nobody has more, and a reference to itself ends. */
const maxDepth = 16;

/** The tools of a request by name. */
export class ToolTypes {
  readonly #schemas: ReadonlyMap<string, Schema>;

  constructor(tools: readonly ToolDefinition[]) {
    const functions = tools.map(functionOf).filter((one) => one !== undefined);
    this.#schemas = new Map(functions.map(({ name, parameters }) => [name, asSchema(parameters)]));
  }

  has(name: string): boolean {
    return this.#schemas.has(name);
  }

  typesOf(name: string): TypesOf {
    const root = this.#schemas.get(name) ?? {};
    const properties = asSchema(resolve(root, root)["properties"]);
    return (key) => (Object.hasOwn(properties, key) ? types(properties[key], root, maxDepth) : undefined);
  }
}

function types(value: unknown, root: Schema, depth: number): ReadonlySet<JsonType> | undefined {
  if (depth === 0) return undefined;
  const schema = resolve(asSchema(value), root);
  const named = [schema["type"]].flat().map((name) => typeNames[String(name)]);
  const found = named.filter((name) => name !== undefined);
  if (found.length > 0) return new Set(found);
  const { const: constant, enum: values = constant === undefined ? undefined : [constant] } = schema;
  if (Array.isArray(values)) return new Set(values.map(jsonType));
  if (Array.isArray(schema["allOf"])) {
    const all = schema["allOf"]
      .map((part) => types(part, root, depth - 1))
      .filter((set) => set !== undefined);
    if (all.length > 0) return all.reduce((both, set) => new Set([...both].filter((type) => set.has(type))));
  }
  const parts = [schema["anyOf"], schema["oneOf"]].find(Array.isArray) as readonly unknown[] | undefined;
  const inner = parts?.map((part) => types(part, root, depth - 1));
  if (!inner || inner.includes(undefined)) return undefined;
  return new Set(inner.flatMap((set) => [...set!]));
}

/** Follows `$ref` within the schema. */
function resolve(schema: Schema, root: Schema): Schema {
  let at = schema;
  for (let i = 0; i < maxDepth; i++) {
    const { $ref } = at;
    if (typeof $ref !== "string" || !$ref.startsWith("#/")) return at;
    const steps = $ref.slice(2).split("/");
    at = asSchema(steps.reduce<unknown>((value, step) => asSchema(value)[unescapePointer(step)], root));
  }
  return at;
}

const unescapePointer = (step: string): string => step.replaceAll("~1", "/").replaceAll("~0", "~");

function asSchema(value: unknown): Schema {
  return typeof value === "object" && value !== null ? (value as Schema) : {};
}

/** The type of a value of JSON. */
export function jsonType(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value as JsonType;
}
