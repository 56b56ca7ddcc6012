/**
 * Contract: whatever a caller passes to a method of `Tokenizer`, it works or throws a typed error with a code that names the
 * argument. Each public method has a row; each position gets each odd value. The rest: oddValues.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Tokenizer } from "../lib/text/tokenizer.js";
import { modelFolder } from "./llm/checkpoints.js";
import { type Call, faultOf, faultsOf, methodsOf } from "./support/oddValues.js";

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = (await Tokenizer.load(modelFolder("tiny-moe")))!;
});
afterAll(() => tokenizer.endThread());

/** Valid arguments of each method by name, and those of its options. */
const rows: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  encode: { text: "hello", "options|option": { addSpecialTokens: true } },
  encodeAsync: { text: "hello", "options|option": { addSpecialTokens: true } },
  leastTokens: { text: "hello" },
  decode: { ids: [1, 2], "options|option": { skipSpecialTokens: true } },
  hasText: { id: 1, "options|option": { skipSpecialTokens: true } },
  isSpecial: { id: 1 },
  tokenId: { token: "hello" },
};
const internal = ["encodeSteps", "endThread", "tokenText", "specialAt"];
const withoutArguments = ["toString"];

describe("Tokenizer", () => {
  const call = (name: string, ...args: readonly unknown[]): unknown =>
    (tokenizer as unknown as Record<string, Call>)[name]!(...(args as never[]));

  it("has no method without a row", () => {
    expect(methodsOf(Tokenizer)).toEqual([...Object.keys(rows), ...internal, ...withoutArguments].sort());
  });

  it.each(Object.keys(rows))("%s", async (name) => {
    const valid = rows[name]!;
    const before = await call(name, ...Object.values(valid));
    expect(await faultsOf((...args: unknown[]) => call(name, ...args), valid)).toEqual([]);
    expect(await faultOf(() => call(name), Object.keys(valid)[0])).toBeUndefined();
    expect(await call(name, ...Object.values(valid))).toEqual(before);
  });

  it.each(["encode", "encodeAsync"])("addSpecialTokens of %s", async (name) => {
    const odd = (value: unknown) => call(name, "hello", { addSpecialTokens: value });
    expect(await faultsOf(odd as Call, { addSpecialTokens: true })).toEqual([]);
  });

  it.each(["decode", "hasText"])("skipSpecialTokens of %s", async (name) => {
    const odd = (value: unknown) => call(name, name === "decode" ? [1] : 1, { skipSpecialTokens: value });
    expect(await faultsOf(odd as Call, { skipSpecialTokens: true })).toEqual([]);
  });

  it("entries of a list of ids, and the folder of load", async () => {
    expect(await faultsOf((id: number) => tokenizer.decode([1, id]), { "ids\\[1\\]": 2 })).toEqual([]);
    expect(await faultsOf(Tokenizer.load as Call, { folder: modelFolder("tiny-moe") })).toEqual([]);
  });

  it("says what was expected and what came", async () => {
    const messageOf = async (run: () => unknown) => {
      try {
        return await run();
      } catch (error) {
        return `${(error as { code: string }).code} ${(error as Error).message}`;
      }
    };
    expect([
      await messageOf(() => call("encode", 5)),
      await messageOf(() => call("encode", ["a", "b"])),
      await messageOf(() => call("encode", "a", false)),
      await messageOf(() => call("encode", "a", { add_special_tokens: false })),
      await messageOf(() => call("encode", "a", { addSpecialTokens: "no" })),
      await messageOf(() => call("encodeAsync", null)),
      await messageOf(() => call("decode", 5)),
      await messageOf(() => call("decode", "5")),
      await messageOf(() => call("decode", [1, "2"])),
      await messageOf(() => call("decode", [1, 2n])),
      await messageOf(() => call("decode", new Float32Array([0.5]))),
      await messageOf(() => call("decode", [1], { skipSpecialToken: true })),
      await messageOf(() => call("hasText", -1)),
      await messageOf(() => call("isSpecial", "1")),
      await messageOf(() => call("tokenId", 7)),
      await messageOf(() => call("leastTokens", undefined)),
    ]).toMatchInlineSnapshot(`
      [
        "ERR_ARGUMENT_TYPE encode: text: expected a string, got number 5",
        "ERR_ARGUMENT_TYPE encode: text: expected a string, got an array",
        "ERR_ARGUMENT_TYPE encode: expected an options object, got boolean false",
        "ERR_UNKNOWN_OPTION encode: unknown option "add_special_tokens"; did you mean "addSpecialTokens"?",
        "ERR_ARGUMENT_TYPE encode: addSpecialTokens: expected true or false, got "no"",
        "ERR_ARGUMENT_TYPE encodeAsync: text: expected a string, got null",
        "ERR_ARGUMENT_TYPE decode: ids: expected token ids, got number 5",
        "ERR_ARGUMENT_TYPE decode: ids: expected token ids, got "5"",
        "ERR_ARGUMENT_RANGE decode: ids[1]: expected an integer in [0, 2^31), got "2"",
        "ERR_ARGUMENT_RANGE decode: ids[1]: expected an integer in [0, 2^31), got bigint 2",
        "ERR_ARGUMENT_RANGE decode: ids[0]: expected an integer in [0, 2^31), got number 0.5",
        "ERR_UNKNOWN_OPTION decode: unknown option "skipSpecialToken"; did you mean "skipSpecialTokens"?",
        "ERR_ARGUMENT_RANGE hasText: id: expected an integer in [0, 2^31), got number -1",
        "ERR_ARGUMENT_RANGE isSpecial: id: expected an integer in [0, 2^31), got "1"",
        "ERR_ARGUMENT_TYPE tokenId: token: expected a string, got number 7",
        "ERR_ARGUMENT_TYPE leastTokens: text: expected a string, got undefined",
      ]
    `);
  });
});
