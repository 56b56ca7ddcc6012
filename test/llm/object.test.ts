/** `llm.object`: values that are valid for their schema, typed by zod, and what becomes of a text that is none. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { FormatError, LLM, type ObjectOptions } from "../../lib/index.js";
import { firstSeed } from "../support/seed.js";

let llm: LLM;
beforeAll(async () => (llm = await LLM.load("models/tiny-moe", { device: "cpu" })));
afterAll(() => llm.close());

const hot = { temperature: 1.5, maxTokens: 300, seed: firstSeed };
const fox = z.object({
  name: z.string().min(1).max(12),
  age: z.int().min(0).max(30),
  born: z.iso.date().optional(),
  kind: z.enum(["red", "arctic"]),
});

describe("object", () => {
  it("of a zod schema has its type", async () => {
    const { value, text, usage } = await llm.object("A fox as JSON:", fox, hot);
    expectTypeOf(value).toEqualTypeOf<z.output<typeof fox>>();
    expect(fox.parse(value)).toEqual(value);
    expect(JSON.parse(text)).toEqual(value);
    expect(usage.completionTokens).toBeGreaterThan(0);
  });

  it("answers messages", async () => {
    const { value } = await llm.object([{ role: "user", content: "Tell me of a fox." }], fox, hot);
    expect(["red", "arctic"]).toContain(value.kind);
  });

  it("gives what zod makes of the text: transforms, defaults, and no property that has no name", async () => {
    const schema = z.object({
      n: z.int().min(5).max(9).transform(String),
      unit: z.enum(["cm", "m"]).default("m"),
    });
    const { value } = await llm.object("A length:", schema, hot);
    expectTypeOf(value.n).toEqualTypeOf<string>();
    expect(value.n).toMatch(/^[5-9]$/);
    expect(["cm", "m"]).toContain(value.unit);
  });

  it.each([
    ["email", z.email().max(40)],
    ["uuid", z.uuid()],
    ["date and time", z.iso.datetime({ precision: 0 })],
    ["cuid", z.cuid().max(20)],
    ["base64", z.base64().max(20)],
    ["ipv4", z.ipv4()],
    ["duration", z.iso.duration().max(20)],
    ["host name", z.hostname().max(20)],
    ["beginning and end", z.string().startsWith("a").endsWith("b").max(20)],
    ["text within", z.string().max(20).includes("b")],
    ["tuple", z.tuple([z.boolean(), z.literal(3)])],
    ["union", z.union([z.literal("x"), z.int().min(1).max(3), z.null()])],
    [
      "discriminated union",
      z.discriminatedUnion("t", [
        z.object({ t: z.literal("a"), n: z.int().min(0).max(9) }),
        z.object({ t: z.literal("b"), s: z.enum(["p", "q"]) }),
      ]),
    ],
    ["array", z.array(z.int().min(0).max(99)).min(2).max(4)],
  ] as const)("is valid for zod's %s", async (_name, schema) => {
    const { value } = await llm.object("Once", schema, hot);
    expect(schema.safeParse(value).success).toBe(true);
  });

  it("takes a JSON Schema, whose values have no type", async () => {
    const schema = { type: "array", items: { enum: [1, 2] }, minItems: 2, maxItems: 2 };
    const { value } = await llm.object("Two numbers:", schema, hot);
    expectTypeOf(value).toBeUnknown();
    expect(value).toHaveLength(2);
  });

  it("that ends early is a FormatError with what there is of it", async () => {
    const schema = z.object({ text: z.string().min(200) });
    const error: unknown = await llm
      .object("Once", schema, { ...hot, maxTokens: 24 })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({ code: "ERR_FORMAT", finishReason: "length" });
    expect((error as FormatError).text).toMatch(/^\{"text":/);
    const stopped = llm.object("Once", schema, { ...hot, stop: '"text' });
    await expect(stopped).rejects.toMatchObject({ code: "ERR_FORMAT", finishReason: "stop" });
  });

  it("that a stop string ends is none, also where what is before it is JSON", async () => {
    const cut = llm.object("Once", { const: 1234567 }, { stop: "45" });
    await expect(cut).rejects.toMatchObject({ code: "ERR_FORMAT", text: "123", finishReason: "stop" });
  });

  it("that a check of zod's refuses is a FormatError that says why", async () => {
    const schema = z.object({
      n: z
        .int()
        .min(1)
        .max(2)
        .refine((n) => n > 5, "too few"),
    });
    await expect(llm.object("Once", schema, hot)).rejects.toThrow(
      /a check of the schema refuses .*too few[^]* n/,
    );
  });

  it.each([
    ["a type that JSON does not have", z.date(), {}, /schema: Date/],
    ["no schema", 3 as never, {}, /schema: expected one of zod 4, or a JSON Schema, got number 3/],
    ["a format", fox, { format: "json" }, /unknown option "format"/],
    ["several texts", fox, { n: 2 }, /unknown option "n"/],
    ["tools without messages", fox, { tools: [] }, /object: tools is for messages/],
    ["a keyword that is not supported", { type: "string", strange: 1 }, {}, /schema: \/strange/],
  ])("refuses %s", async (_name, schema, options, message) => {
    await expect(llm.object("Once", schema, options as ObjectOptions)).rejects.toThrow(message);
  });
});
