/** Random schemas of every keyword that is supported, few levels deep. */
import type { Random } from "../support/random.js";

export type SchemaJson = Readonly<Record<string, unknown>>;

const names = ["a", "b", "ab", 'q"', "é"];
const scalars: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  10,
  0.5,
  1e21,
  "",
  "a",
  "ab",
  "x\n",
  '"',
  "é",
  "😀",
];
const patterns = ["^a", "b$", "^[ab]*$", "^.{2}$", "\\d", "[^a]", "^(?:a|é)+$", "^\\p{L}"];
const formats = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];
const bounds = [-10, -1, -0.5, 0, 0.25, 1, 7, 9.5, 10, 100, 1234.5, 1e-7, 1e21];

export class RandomSchemas {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A whole schema, perhaps one that refers to parts of itself. */
  root(): SchemaJson {
    const schema = this.schema(2);
    const definition = { type: "object", properties: { a: this.schema(0), next: { $ref: "#/$defs/d" } } };
    return this.#chance(0.3) ? { $defs: { d: definition }, anyOf: [{ $ref: "#/$defs/d" }, schema] } : schema;
  }

  schema(depth: number): SchemaJson {
    const kinds = ["scalar", "scalar", "string", "number", "integer", "types", "free"];
    if (depth > 0) kinds.push("object", "object", "object", "array", "array", "combined", "combined", "if");
    switch (this.#pick(kinds)) {
      case "scalar":
        return this.#chance(0.5)
          ? { const: this.#literal(depth) }
          : { enum: this.#some(() => this.#literal(depth)) };
      case "string":
        return this.#string();
      case "number":
        return { type: "number", ...this.#numeric() };
      case "integer":
        return { type: "integer", ...this.#numeric() };
      case "types":
        return {
          type: this.#pick([["null", "boolean"], "boolean", ["string", "integer"], ["number", "null"]]),
        };
      case "free":
        return this.#pick([{}, { title: "any" }, { minLength: 1, minimum: 0 }, { not: { type: "object" } }]);
      case "object":
        return this.#object(depth);
      case "array":
        return this.#array(depth);
      case "if":
        return {
          if: this.#test(),
          then: this.schema(depth - 1),
          ...(this.#chance(0.5) ? { else: this.#test() } : {}),
        };
      default:
        return this.#combined(depth);
    }
  }

  #combined(depth: number): SchemaJson {
    const below = (): SchemaJson => this.schema(depth - 1);
    const base = this.#chance(0.4) ? this.#object(depth) : {};
    switch (this.#pick(["anyOf", "allOf", "oneOf", "not"])) {
      case "anyOf":
        return { ...base, anyOf: this.#some(below) };
      case "allOf":
        return { ...base, allOf: [this.#test(), below()] };
      case "oneOf":
        return { ...base, oneOf: [this.#test(), this.#test(), { type: "string" }] };
      default:
        return { ...base, not: this.#test() };
    }
  }

  /** What has an opposite. */
  #test(): SchemaJson {
    const name = this.#pick(names);
    return this.#pick<SchemaJson>([
      { required: [name] },
      { properties: { [name]: { const: this.#pick(scalars) } }, required: [name] },
      { type: this.#pick(["string", "integer", "number", "array"]) },
      { enum: this.#some(() => this.#pick(scalars)) },
      { minLength: 2 },
      { pattern: this.#pick(patterns) },
      { minimum: this.#pick(bounds) },
      { exclusiveMaximum: this.#pick(bounds) },
      { minItems: 1 },
      { maxProperties: 0 }, // the opposite of 1 is narrower than it may be where further names are allowed (docs/constrained.md)
    ]);
  }

  #string(): SchemaJson {
    const [a, b] = [this.#below(4), this.#below(4)];
    return {
      type: "string",
      ...(this.#chance(0.4) ? { minLength: Math.min(a, b), maxLength: Math.max(a, b) } : {}),
      ...(this.#chance(0.4) ? { pattern: this.#pick(patterns) } : {}),
      ...(this.#chance(0.2) ? { format: this.#pick(formats) } : {}),
    };
  }

  #numeric(): SchemaJson {
    const [a, b] = [this.#pick(bounds), this.#pick(bounds)];
    return {
      ...(this.#chance(0.4) ? { [this.#pick(["minimum", "exclusiveMinimum"])]: Math.min(a, b) } : {}),
      ...(this.#chance(0.4) ? { [this.#pick(["maximum", "exclusiveMaximum"])]: Math.max(a, b) } : {}),
      ...(this.#chance(0.2) ? { multipleOf: this.#pick([1, 0.1, 0.01, 5, 20, 0.25, 0.5]) } : {}),
    };
  }

  #object(depth: number): SchemaJson {
    const below = (): SchemaJson => this.schema(depth - 1);
    const own = names.filter(() => this.#chance(0.4));
    const required = names.filter((name) => this.#chance(own.includes(name) ? 0.5 : 0.05));
    return {
      type: "object",
      properties: Object.fromEntries(own.map((name) => [name, below()])),
      ...(required.length > 0 ? { required } : {}),
      ...(this.#chance(0.5) ? { additionalProperties: this.#chance(0.6) ? false : below() } : {}),
      ...(this.#chance(0.2) ? { patternProperties: { [this.#pick(patterns)]: below(), "^a": below() } } : {}),
      ...(this.#chance(0.15) ? { propertyNames: this.#pick([{ maxLength: 2 }, { enum: ["a", "b"] }]) } : {}),
      ...(this.#chance(0.15) ? { minProperties: 1 } : {}),
      ...(this.#chance(0.15) ? { maxProperties: 2 + this.#below(2) } : {}),
      ...(this.#chance(0.1) ? { dependentRequired: { a: ["b"] } } : {}),
      ...(this.#chance(0.1) ? { dependentSchemas: { b: { required: ["ab"] } } } : {}),
    };
  }

  #array(depth: number): SchemaJson {
    const below = (): SchemaJson => this.schema(depth - 1);
    const min = this.#below(3);
    return {
      type: "array",
      ...(this.#chance(0.8) ? { items: this.#chance(0.1) ? false : below() } : {}),
      ...(this.#chance(0.3) ? { prefixItems: this.#some(below) } : {}),
      ...(this.#chance(0.4) ? { minItems: min, maxItems: min + this.#below(3) } : {}),
      ...(this.#chance(0.2)
        ? { contains: this.#test(), ...(this.#chance(0.5) ? { maxContains: 2 } : {}) }
        : {}),
    };
  }

  #literal(depth: number): unknown {
    if (depth === 0 || this.#chance(0.7)) return this.#pick(scalars);
    return this.#pick<unknown>([[], {}, [this.#pick(scalars)], { a: this.#pick(scalars), b: [1] }]);
  }

  #some<T>(make: () => T): readonly T[] {
    return Array.from({ length: 1 + this.#below(3) }, make);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!;
  }

  #below(limit: number): number {
    return this.#random.integer(0, limit);
  }

  #chance(share: number): boolean {
    return this.#random.uniform() < share;
  }
}
