/** JSON Schema as a grammar: the texts of it are valid values, and valid values in our form are texts of it. */
import { describe, expect, it } from "vitest";
import { ArgumentRangeError } from "../../lib/errors.js";
import { compileSchema } from "../../lib/grammar/schema/compile.js";
import type { Schema } from "../../lib/grammar/schema/schemaAt.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";
import { refusedSchemas, schemaCases } from "./schemaCases.js";
import { TextGrammar, textsOf } from "./schemaMatcher.js";
import { forAjv, validatorOf } from "./schemaOracle.js";
import { RandomSchemas } from "./schemaRandom.js";

describe("a schema", () => {
  it.each(schemaCases)("of $name", ({ schema, takes, refuses }) => {
    // As it comes: JSON.parse makes "__proto__" a property.
    using grammar = new TextGrammar(compileSchema(JSON.parse(JSON.stringify(schema)) as Schema));
    for (const text of takes) expect([text, grammar.accepts(text)]).toEqual([text, true]);
    for (const text of refuses) expect([text, grammar.accepts(text)]).toEqual([text, false]);
  });

  it.each(refusedSchemas)("%j is refused", (schema, message) => {
    expect(() => compileSchema(schema as Schema)).toThrow(message);
    expect(() => compileSchema(schema as Schema)).toThrow(ArgumentRangeError);
  });

  it("has whitespace where it is asked for, and so much of it", () => {
    const schema = { type: "object", properties: { a: { type: "array" }, b: { const: { c: [1] } } } };
    using grammar = new TextGrammar(compileSchema(schema, { whitespace: 3 }));
    const value = { a: [1, {}], b: { c: [1] } };
    for (const text of [JSON.stringify(value), '{ "a": [1, { }],\n\t"b": {"c": [ 1 ] } }'])
      expect([text, grammar.accepts(text)]).toEqual([text, true]);
    for (const text of ['{    "a":[]}', ' {"a":[]}', '{"a" :[]}', '{"a":[]} ', '{"a":[1 ,2]}', '{\r"a":[]}'])
      expect([text, grammar.accepts(text)]).toEqual([text, false]);
  });

  it("made to take long does not", () => {
    const started = process.cpuUsage();
    const doubled = (depth: number): object => ({
      ...Object.fromEntries(
        Array.from({ length: depth }, (_, i) => [
          `d${i}`,
          { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
        ]),
      ),
      [`d${depth}`]: { type: "string" },
    });
    const chain = { $defs: doubled(60), $ref: "#/$defs/d0" };
    using grammar = new TextGrammar(compileSchema(chain));
    expect(grammar.accepts('"x"')).toBe(true);
    // RegExp.test would go back for years.
    const name = `${"a".repeat(40)}!`;
    const slow = { properties: { [name]: {} }, patternProperties: { "^(?:a+)+$": { type: "string" } } };
    using names = new TextGrammar(compileSchema(slow));
    expect(names.accepts(`{"${name}":1}`)).toBe(true);
    const product = {
      allOf: Array.from({ length: 12 }, () => ({
        anyOf: [{ minimum: 1 }, { maxLength: 2 }, { minItems: 1 }],
      })),
    };
    expect(() => compileSchema(product)).toThrow(/anyOf: more than 1000 combinations/);
    const nested = JSON.parse(`${'{"not":'.repeat(20_000)}{}${"}".repeat(20_000)}`) as Schema;
    expect(() => compileSchema(nested)).toThrow(/nested too deeply/);
    const { user } = process.cpuUsage(started);
    expect(user).toBeLessThan(5e6);
  });
});

describe("random schemas", () => {
  const pool = [
    ...[null, true, false, 0, 1, -1, 10, 0.5, 7, 100, "", "a", "ab", "x\n", '"', "é", "😀", "bb"],
    ...[
      [],
      [1],
      ["a", "ab"],
      [null, 1, "a"],
      [[]],
      {},
      { a: 1 },
      { b: "a" },
      { a: "ab", b: [1] },
      { ab: {} },
    ],
    ...[
      { a: 0.5, b: 1, ab: "b" },
      { 'q"': null, é: "a" },
      { z: 1 },
      { a: { a: "a" } },
      { a: 1, next: { a: 1 } },
    ],
  ];
  const count = runsOf({ few: 24, whole: 1000 });
  const seeds = Array.from({ length: count }, (_, i) => firstSeed * 4096 + i);

  it(`of ${count} seeds have no text that is not valid, and every valid value that there is an example of`, () => {
    let compiled = 0;
    for (const seed of seeds) {
      const random = new Random(seed);
      const schema = new RandomSchemas(random).root();
      const said = `seed ${seed}: ${JSON.stringify(schema)}`;
      let grammar: TextGrammar;
      try {
        grammar = new TextGrammar(compileSchema(schema));
      } catch (error) {
        expect((error as Error).message, said).toMatch(/matches no text|not supported/);
        continue;
      }
      compiled++;
      const isValid = validatorOf(forAjv(schema));
      for (let i = 0; i < 6; i++) {
        const text = grammar.sample(random);
        if (text !== undefined) expect(isValid(JSON.parse(text)), `${text} of ${said}`).toBe(true);
      }
      for (const value of pool) {
        const text = JSON.stringify(value);
        expect(
          textsOf(value).some((one) => grammar.accepts(one)),
          `${text} of ${said}`,
        ).toBe(isValid(value));
      }
      grammar[Symbol.dispose]();
    }
    expect(compiled).toBeGreaterThan(count / 2); // most are no contradiction
  });
});
