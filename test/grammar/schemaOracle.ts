/** Ajv as the judge of values. */
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";

const options = { strict: false, validateSchema: false, logger: false } as const;

/** A number as JavaScript writes it: digits, and how many of them are decimals. */
function decimalOf(value: number): readonly [bigint, number] {
  const [, whole, fraction = "", exponent = "0"] = /^(-?\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(`${value}`)!;
  return [BigInt(whole! + fraction), fraction.length - Number(exponent)];
}

/** In decimals: as a quotient of floats 0.07 / 0.01 is no integer, and of large numbers no tolerance is right. */
function isMultiple(of: number, value: number): boolean {
  const [[a, aDecimals], [b, bDecimals]] = [decimalOf(value), decimalOf(of)];
  const decimals = Math.max(aDecimals, bDecimals);
  return (a * 10n ** BigInt(decimals - aDecimals)) % (b * 10n ** BigInt(decimals - bDecimals)) === 0n;
}

/**
 * The schema with `contains` in a schema of its own where `prefixItems` stands beside it, which says the same: there Ajv 8.20 takes the empty
 * array (2020-12, core, 10.3.1.3: one item at least has to be valid).
 */
export function forAjv<T>(schema: T): T {
  if (typeof schema !== "object" || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(forAjv) as T;
  const entries = Object.entries(schema).map(([key, value]) => [key, forAjv<unknown>(value)] as const);
  const isApart = (key: string): boolean => ["contains", "minContains", "maxContains"].includes(key);
  const [apart, rest] = [true, false].map((is) => entries.filter(([key]) => isApart(key) === is)) as [
    typeof entries,
    typeof entries,
  ];
  if (apart.length === 0 || !("prefixItems" in schema)) return Object.fromEntries(entries) as T;
  const { allOf = [], ...others } = Object.fromEntries(rest);
  return { ...others, allOf: [...(allOf as unknown[]), Object.fromEntries(apart)] } as T;
}

/** @returns whether a value is valid; @throws for a schema that it cannot read */
export function validatorOf(schema: object | boolean): (value: unknown) => boolean {
  const isOld =
    typeof schema === "object" && String((schema as { $schema?: unknown }).$schema).includes("draft-07");
  const ajv = isOld ? new Ajv(options) : new Ajv2020(options);
  addFormats.default(ajv);
  ajv.removeKeyword("multipleOf");
  ajv.addKeyword({ keyword: "multipleOf", type: "number", schemaType: "number", validate: isMultiple });
  const validate = ajv.compile(schema);
  return (value) => validate(value) === true;
}
