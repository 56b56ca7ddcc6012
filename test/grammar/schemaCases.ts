/** Schemas, texts that are valid for them and have our form, and texts that must not come. */

export interface SchemaCase {
  readonly name: string;
  readonly schema: object | boolean;
  readonly takes: readonly string[];
  readonly refuses: readonly string[];
}

const deep = (depth: number, inner: unknown): unknown =>
  depth === 0 ? inner : { not: deep(depth - 1, inner) };
/** A string as JSON. */
const longText = (characters: number, end = ""): string => `"${"c".repeat(characters)}${end}"`;
const case_ = (
  name: string,
  schema: object | boolean,
  takes: readonly string[],
  refuses: readonly string[],
) => ({
  ...{ name, schema, takes, refuses },
});

export const schemaCases: readonly SchemaCase[] = [
  case_(
    "any value",
    {},
    ["1", "[1,[2]]", '{"a":{"b":null}}', '"x"', "1e5"],
    ["", "01", "1e999", "[1,]", "nul"],
  ),
  case_(
    "items that may be the whole schema again",
    { type: "array" },
    ["[]", "[1]", '["a",[1]]'],
    ["1", "[1"],
  ),
  case_(
    "a type of numbers",
    { type: "integer" },
    ["0", "-7", "9007199254740993"],
    ["1.0", "-0", "1e3", "0.5"],
  ),
  case_(
    "names that look like pointers",
    { dependentRequired: { a: ["zz"], "a/properties/a": ["yy"] } },
    ['{"a":1,"zz":1}', "{}", "[]"],
    ['{"a":1}', '{"a/properties/a":1}'],
  ),
  case_("signs that need no backslash", { type: "string", pattern: "^\\é\\-$" }, ['"é-"'], ['"é"']),
  case_("bounds", { type: "integer", minimum: -2, maximum: 10 }, ["-2", "0", "10"], ["-3", "11", "100"]),
  case_(
    "a bound that is not allowed itself",
    { type: "number", exclusiveMinimum: 0 },
    ["0.1", "1"],
    ["0", "0.0", "-1"],
  ),
  case_(
    "a bound with an exponent",
    { type: "number", maximum: 1e-7 },
    ["0.0000001", "0", "-3"],
    ["0.0000002", "1"],
  ),
  case_(
    "a bound that is no safe integer, which was rounded",
    { type: "integer", minimum: 0, maximum: 9223372036854775807 },
    ["9007199254740993", "9223372036854774783"],
    ["9223372036854775807", "9223372036854775808", "9223372036854775999"],
  ),
  case_(
    "numbers that are read as the bound",
    { type: "number", exclusiveMaximum: 0.3 },
    ["0.29", "0.29999"],
    ["0.3", "0.30", "0.29999999999999999999"],
  ),
  case_("multiples of 5", { type: "integer", multipleOf: 5 }, ["0", "5", "-15", "1230"], ["1", "12", "51"]),
  case_("multiples of a cent", { type: "number", multipleOf: 0.01 }, ["1.1", "0.07", "3"], ["0.001"]),
  case_(
    "multiples of 0.25",
    { type: "number", multipleOf: 0.25 },
    ["0.5", "1.25", "1.50", "2"],
    ["0.3", "1.2"],
  ),
  case_(
    "lengths in characters",
    { type: "string", minLength: 2, maxLength: 2 },
    ['"ab"', '"😀é"', '"\\n\\""', '"\\u0001x"'],
    ['"😀"', '"\\n"', '"abc"'],
  ),
  case_(
    "thousands of characters at least",
    { type: "string", minLength: 2000, maxLength: 2001 },
    [longText(2000), longText(2001)],
    [longText(1999), longText(2002)],
  ),
  case_(
    "thousands of characters at least, with a pattern",
    { type: "string", minLength: 2000, pattern: "[b-d]+d$" },
    [longText(1998, "bd"), longText(5000, "d")],
    [longText(1997, "bd"), longText(3000)],
  ),
  case_(
    "half of a surrogate pair beside keywords of other types",
    { const: "a\ud800", properties: { a: {} } },
    ['"a\\ud800"'],
    ['"a"'],
  ),
  case_(
    "a pattern on what is escaped",
    { type: "string", pattern: '^[\\n"]+$' },
    ['"\\n\\""'],
    ['"n"', '"\\\\n"'],
  ),
  case_(
    "a pattern with signs that need no backslash",
    { type: "string", pattern: "^[\\w\\-]+\\@\\_$" },
    ['"a-@_"'],
    ['"a"'],
  ),
  case_("an enum of objects", { enum: [{ a: 1, b: [2] }, []] }, ['{"a":1,"b":[2]}', "[]"], ['{"a":1}', "{}"]),
  case_(
    "an enum of objects beside properties",
    { enum: [{ a: 1 }, { a: "x" }], properties: { a: { type: "string" } } },
    ['{"a":"x"}'],
    ['{"a":1}'],
  ),
  case_(
    "equal objects of enums that hold together",
    { allOf: [{ enum: [{ a: 1, b: 2 }] }, { const: { b: 2, a: 1 } }] },
    ['{"a":1,"b":2}'],
    ["{}"],
  ),
  case_("a number of an enum with an exponent", { enum: [1e21, 3], minimum: 5 }, ["1e+21"], ["3"]),
  case_(
    "additionalProperties of allOf, each about its own properties",
    {
      allOf: [
        { properties: { a: {} }, additionalProperties: { type: "integer" } },
        { properties: { b: {} } },
      ],
    },
    ['{"a":"x","b":1}', '{"c":2}'],
    ['{"b":"x"}', '{"c":"x"}'],
  ),
  case_(
    "required names that are no properties, and names that need escapes",
    {
      type: "object",
      properties: { 'q"\n': {} },
      required: ["__proto__", "toString"],
      additionalProperties: { type: "integer" },
    },
    ['{"q\\"\\n":null,"__proto__":1,"toString":2}', '{"__proto__":1,"toString":2,"x":3}'],
    ['{"toString":2}', '{"__proto__":"x","toString":2}', '{"__proto__":1,"__proto__":1,"toString":2}'],
  ),
  case_(
    "patterns of names, several of which may find one",
    {
      type: "object",
      patternProperties: { "^a": { type: "integer" }, b$: { minimum: 5 } },
      additionalProperties: false,
    },
    ['{"ax":1}', '{"xb":"s"}', '{"ab":5}', '{"ax":1,"ab":7}'],
    ['{"ab":1}', '{"ab":"s"}', '{"x":1}', '{"ax":"s"}'],
  ),
  case_(
    "names of an enum",
    { type: "object", propertyNames: { enum: ["a", "b"] } },
    ['{"a":1}', '{"b":1}'],
    ['{"c":1}'],
  ),
  case_("no names", { type: "object", propertyNames: false }, ["{}"], ['{"a":1}']),
  case_(
    "counts of properties",
    {
      type: "object",
      properties: { a: {}, b: {}, c: {} },
      additionalProperties: false,
      minProperties: 2,
      maxProperties: 2,
    },
    ['{"a":1,"b":1}', '{"a":1,"c":1}', '{"b":1,"c":1}'],
    ["{}", '{"a":1}', '{"a":1,"b":1,"c":1}'],
  ),
  case_(
    "a count of properties, where further names may be one",
    { type: "object", properties: { a: {} }, minProperties: 2 },
    ['{"a":1,"x":1}'],
    ['{"x":1,"x":1}', '{"a":1}', "{}"],
  ),
  case_(
    "many items",
    { type: "array", items: { const: 1 }, minItems: 3, maxItems: 100_000 },
    ["[1,1,1]", `[${"1,".repeat(999)}1]`],
    ["[1,1]", "[]"],
  ),
  case_(
    "at most so many items",
    { type: "array", items: { const: 1 }, maxItems: 6 },
    ["[]", "[1,1,1,1,1,1]"],
    ["[1,1,1,1,1,1,1]"],
  ),
  case_(
    "what an array contains",
    { type: "array", contains: { type: "string" }, minContains: 1, maxContains: 2 },
    ['["a"]', '[1,"a",2,"b"]'],
    ["[]", "[1]", '["a","b","c"]'],
  ),
  case_(
    "uniqueItems of one item",
    { type: "array", uniqueItems: true, maxItems: 1 },
    ["[]", "[1]"],
    ["[1,1]"],
  ),
  case_(
    "not of a type",
    { not: { type: ["string", "integer"] } },
    ["1.5", "null", "[]"],
    ["1", '"a"', "1.0"],
  ),
  case_(
    "not of values",
    { type: ["string", "number"], not: { enum: ["a", 1, true] } },
    ['"b"', "2", "1.5"],
    ['"a"', '"\\u0061"', "1", "1.0"],
  ),
  case_("not of not", deep(4, { type: "string", minLength: 2 }) as object, ['"ab"'], ['"a"', "1"]),
  case_("nothing is valid for not of anything", { anyOf: [{ not: {} }, { const: 1 }] }, ["1"], ["2", "{}"]),
  case_(
    "oneOf of names that are required",
    {
      type: "object",
      properties: { a: {}, b: {} },
      additionalProperties: false,
      oneOf: [{ required: ["a"] }, { required: ["b"] }],
    },
    ['{"a":1}', '{"b":1}'],
    ["{}", '{"a":1,"b":1}'],
  ),
  case_(
    "oneOf of numbers that overlap",
    { oneOf: [{ type: "integer" }, { type: "number", minimum: 2 }] },
    ["1", "2.5"],
    ["3", "1.5"],
  ),
  case_(
    "if, then and else",
    {
      properties: { k: { enum: ["x", "y"] }, v: {} },
      required: ["k"],
      additionalProperties: false,
      type: "object",
      if: { properties: { k: { const: "x" } } },
      then: { required: ["v"] },
      else: { properties: { v: false } },
    },
    ['{"k":"x","v":1}', '{"k":"y"}'],
    ['{"k":"x"}', '{"k":"y","v":1}'],
  ),
  case_(
    "what a property needs",
    {
      type: "object",
      properties: { a: {}, b: {} },
      additionalProperties: false,
      dependentRequired: { a: ["b"] },
    },
    ["{}", '{"b":1}', '{"a":1,"b":1}'],
    ['{"a":1}'],
  ),
  case_(
    "references by pointer, name and anchor, relative to where they stand",
    {
      $id: "https://example.com/root.json",
      $defs: {
        part: {
          $id: "parts/part.json",
          $defs: { inner: { const: 1 } },
          properties: { a: { $ref: "#/$defs/inner" } },
        },
        named: { $anchor: "word", type: "string" },
      },
      type: "object",
      properties: {
        p: { $ref: "parts/part.json" },
        s: { $ref: "#word" },
        "x/y~z": { $ref: "#/properties/s" },
      },
      additionalProperties: false,
    },
    ['{"p":{"a":1},"s":"x","x/y~z":"w"}'],
    ['{"p":{"a":2}}', '{"s":1}', '{"x/y~z":1}'],
  ),
  case_(
    "a schema that refers to itself",
    {
      type: "object",
      properties: { v: { type: "integer" }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
      required: ["v"],
      additionalProperties: false,
    },
    ['{"v":1}', '{"v":1,"next":{"v":2,"next":null}}'],
    ['{"v":1,"next":{"next":null}}'],
  ),
  case_(
    "keywords beside a reference",
    { $defs: { s: { type: "string" } }, $ref: "#/$defs/s", maxLength: 1 },
    ['"a"'],
    ['"ab"', "1"],
  ),
  case_(
    "items in the form of draft-07",
    { items: [{ const: 1 }], additionalItems: { const: 2 }, type: "array" },
    ["[]", "[1,2,2]"],
    ["[2]", "[1,1]"],
  ),
  case_(
    "unevaluatedProperties beside nothing that evaluates",
    { type: "object", properties: { a: {} }, unevaluatedProperties: false },
    ['{"a":1}'],
    ['{"b":1}'],
  ),
  case_(
    "a format of numbers",
    { type: "integer", format: "int32" },
    ["2147483647", "-2147483648"],
    ["2147483648"],
  ),
  case_("extensions are annotations", { "x-order": 1, const: 1 }, ["1"], ["2"]),
];

/** By what an error has to say. */
const many = Object.fromEntries(Array.from({ length: 20_001 }, (_, i) => [`p${i}`, {}]));
const long = "p".repeat(600);

export const refusedSchemas: readonly (readonly [schema: object, message: RegExp])[] = [
  [
    { properties: { "a/b": { unknown: 1 } } },
    /^schema: \/properties\/a~1b\/unknown: this keyword is not supported$/,
  ],
  [{ constructor: 1 }, /^schema: \/constructor: this keyword is not supported$/],
  [{ not: { not: { "~noInteger": true } } }, /\/not\/not\/~0noInteger: this keyword is not supported/],
  [{ type: "array", uniqueItems: true }, /^schema: \/uniqueItems: not supported where there may be more/],
  [{ not: { items: { type: "string" } } }, /^schema: \/not\/items: not supported in not/],
  [
    { oneOf: [{ format: "email" }, { minLength: 3 }] },
    /^schema: \/oneOf\/0\/format: not supported in not, in if, and in alternatives of oneOf/,
  ],
  [{ anyOf: [{ $ref: "#" }, { type: "null" }] }, /\$ref: a schema that refers to itself and nothing else/],
  [
    { $ref: "https://example.com/other.json" },
    /^schema: \/\$ref: nothing within this schema is named "https:/,
  ],
  [{ $ref: "#/%E0%A4%A" }, /\/\$ref: nothing within this schema/],
  [{ items: { $dynamicRef: "#a" } }, /^schema: \/items\/\$dynamicRef: this keyword is not supported/],
  [{ type: "integer", multipleOf: 7 }, /^schema: \/multipleOf: only 1, 0\.1, .* is supported, got 7/],
  [{ type: "integer", multipleOf: 0 }, /^schema: \/multipleOf: expected a number above 0/],
  [{ const: "a\ud800", minLength: 2 }, /^schema: \/const: half of a surrogate pair/],
  [
    { enum: ["a", "\udc00"], allOf: [{ pattern: "a" }] },
    /^schema: \/enum: half of a surrogate pair, with keywords of strings: not supported/,
  ],
  [{ type: "string", minLength: -1 }, /^schema: \/minLength: expected an integer of 0 or more/],
  [{ type: "string", minLength: 1e12 }, /^schema: \/minLength: expected at most/],
  [{ type: "string", format: "colour" }, /^schema: \/format: "colour" is not supported/],
  [{ type: "string", pattern: "(?=a)" }, /^schema: \/pattern: looking around/],
  [{ type: "object", minProperties: 3 }, /^schema: \/minProperties: two properties of names that are not/],
  [
    { allOf: [{ unevaluatedProperties: false, anyOf: [{}] }] },
    /^schema: \/allOf\/0\/unevaluatedProperties: not supported/,
  ],
  [{ type: "array", prefixItems: [{}], items: [{}] }, /^schema: \/prefixItems: not supported beside/],
  [{ type: "object", required: "a" }, /^schema: \/required: expected a list of names/],
  [{ type: "text" }, /^schema: \/type: expected some of null/],
  [
    { properties: { a: { type: "string", pattern: "^a{4294967297}$" } } },
    /^schema: \/properties\/a\/pattern: expected counts of at most 2147483646, got 4294967297 in \//,
  ],
  [
    { type: "object", properties: many, additionalProperties: false },
    /^schema: \/properties: expected fewer than 20000, got 20001$/,
  ],
  [
    { type: "object", allOf: [{ maxProperties: 9 }, { minProperties: 5 }] },
    /^schema: \/allOf\/1\/minProperties: two properties/,
  ],
  [{ dependentRequired: { a: [1] } }, /^schema: \/dependentRequired: expected lists of names$/],
  [{ dependencies: { a: [1] } }, /^schema: \/dependencies: expected lists of names$/],
  [
    { contains: { items: { minimum: 1 } }, maxContains: 1 },
    /^schema: \/contains\/items: not supported in not/,
  ],
  [
    { not: { properties: { a: { items: { minimum: 1 } } } } },
    /^schema: \/not\/properties\/a\/items: not supported in not/,
  ],
  [
    { properties: { [long]: { properties: { a: { nullable: true } } } } },
    /^schema: \/properties\/p{188}\.\.\.p{187}\/properties\/a\/nullable: this keyword is not supported$/,
  ],
  [{ type: "number", multipleOf: 2.5 }, /^schema: \/multipleOf: only 1, 0\.1.* is supported, got 2\.5$/],
];
