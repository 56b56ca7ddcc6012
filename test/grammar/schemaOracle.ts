/** Ajv as the judge of values. */
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";

/** 0.07 / 0.01 is 7.000000000000001 for it. */
const options = { strict: false, multipleOfPrecision: 5, validateSchema: false, logger: false } as const;

/** @returns whether a value is valid; @throws for a schema that it cannot read */
export function validatorOf(schema: object | boolean): (value: unknown) => boolean {
  const isOld =
    typeof schema === "object" && String((schema as { $schema?: unknown }).$schema).includes("draft-07");
  const ajv = isOld ? new Ajv(options) : new Ajv2020(options);
  addFormats.default(ajv);
  const validate = ajv.compile(schema);
  return (value) => validate(value) === true;
}
