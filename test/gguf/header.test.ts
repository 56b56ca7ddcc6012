// Contract: parseHeader reads what the format says, little by little, and refuses with ERR_CHECKPOINT_FORMAT whatever breaks a rule of
// it: counts, lengths, types, duplicates, alignment, and tensors that do not lie in the file one behind the other.
import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../lib/errors.js";
import { parseHeader } from "../../lib/gguf/header.js";
import { Metadata } from "../../lib/gguf/metadata.js";
import { encodeGguf, type GgufMetadata, type GgufTensor } from "../support/gguf/format.js";

const tensor = (
  name: string,
  shape: readonly number[],
  dtype: GgufTensor["dtype"],
  bytes: number,
): GgufTensor => ({
  ...{ name, shape, dtype, data: () => [new Uint8Array(bytes).fill(1)] },
});
const tensors = [
  tensor("a", [2, 3], "f32", 24),
  tensor("b", [5], "bf16", 10),
  tensor("c", [2, 32], "q8_0", 68),
];
const metadata: GgufMetadata = {
  "general.architecture": { type: "string", value: "llama" },
  "llama.block_count": { type: "u32", value: 2 },
  "llama.eps": { type: "f32", value: 1e-6 },
  "llama.big": { type: "u64", value: 2 ** 40 },
  "llama.small": { type: "i32", value: -3 },
  "llama.exact": { type: "f64", value: 0.1 },
  "llama.yes": { type: "bool", value: true },
  "llama.words": { type: "strings", value: ["x", "", "é"] },
  "llama.numbers": { type: "i32s", value: [1, -2] },
};
const file = encodeGguf(metadata, tensors);
const parse = (bytes: Uint8Array, size = bytes.length) => parseHeader(bytes, size, "f.gguf");

test("gives metadata and tensors", () => {
  const header = parse(file)!;
  const read = new Metadata("f.gguf", header.metadata);
  const keys = ["block_count", "eps", "big", "small", "exact", "yes", "numbers"];
  expect(keys.map((key) => read.value(`llama.${key}`))).toEqual([2, 1e-6, 2 ** 40, -3, 0.1, true, [1, -2]]);
  expect([...read.texts("llama.words")!.items]).toEqual(["x", "", "é"]);
  expect([...read.textsAt("llama.words", new Set([2]))]).toEqual([[2, "é"]]);
  expect([...read.indicesOf("llama.words", new Set(["é", "y"]), 4)]).toEqual([["é", 2]]);
  const placed = header.tensors.map(({ name, dtype, shape, byteLength, byteOffset }) => {
    return { name, dtype, shape, byteLength, isAligned: byteOffset % 32 === 0 };
  });
  expect(placed).toEqual([
    { name: "a", dtype: "f32", shape: [2, 3], byteLength: 24, isAligned: true },
    { name: "b", dtype: "bf16", shape: [5], byteLength: 10, isAligned: true },
    { name: "c", dtype: "blocks:q8_0", shape: [2, 32], byteLength: 68, isAligned: true },
  ]);
  expect(Array.from(file.subarray(header.tensors[2]!.byteOffset).subarray(0, 68))).toEqual(Array(68).fill(1));
});

test("asks for more where the header is longer than what it has, and never where it is not", () => {
  const end = parse(file)!.tensors[0]!.byteOffset;
  for (let length = 0; length < end - 32; length++)
    expect(parse(file.subarray(0, length), file.length)).toBe(undefined);
  expect(parse(file.subarray(0, end), file.length)).toEqual(parse(file));
});

/** What is put at a place of the file that is found by text, so many bytes behind it. */
function changed(after: string, skip: number, bytes: readonly number[]): Buffer {
  const result = Buffer.from(file);
  const at = after === "" ? 0 : result.indexOf(after) + after.length;
  result.set(bytes, at + skip);
  return result;
}
const u64 = (value: bigint): number[] => [...new Uint8Array(new BigUint64Array([value]).buffer)];
const huge = u64(2n ** 64n - 1n);

describe("refuses", () => {
  const cases: readonly (readonly [what: string, file: Uint8Array, says: RegExp])[] = [
    ["another magic", changed("", 0, [0x67]), /does not start with GGUF/],
    ["version 1", changed("", 4, [1]), /version: expected 2 or 3, got 1/],
    ["big endian", changed("", 4, [0, 0, 0, 3]), /big-endian/],
    ["too many tensors", changed("", 8, huge), /tensors: expected at most/],
    ["too many keys", changed("", 16, huge), /keys, got/],
    ["more keys than there are", changed("", 16, u64(60n)), /truncated|type|UTF-8|expected/],
    ["a key longer than the file", changed("", 24, u64(10_000n)), /key 0: 10000 bytes, but/],
    ["a text longer than any", changed("general.architecture", 4, huge), /at most 16000000 bytes/],
    ["a type that there is not", changed("llama.block_count", 0, [13]), /no type of values is 13/],
    ["a bool of 2", changed("llama.yes", 4, [2]), /expected true or false \(1 or 0\), got 2/],
    ["a key that is no UTF-8", changed("", 32, [0xff]), /key 0: not UTF-8/],
    ["a list of lists", changed("llama.words", 4, [9]), /a list of lists/],
    ["items of no type", changed("llama.words", 4, [77]), /no type of items is 77/],
    [
      "more items than the file has bytes",
      changed("llama.numbers", 8, huge),
      /items, but \d+ bytes are left/,
    ],
    ["an item longer than the file", changed("llama.words", 16, huge), /truncated: "llama.words"/],
    ["an alignment of 0", changed("general.alignment", 4, [0]), /general.alignment: expected a power of two/],
    ["an alignment of 48", changed("general.alignment", 4, [48]), /general.alignment/],
  ];
  test.each(cases)("%s", (_, bytes, says) => expect(() => parse(bytes)).toThrow(says));

  const named = (name: string, skip: number, bytes: readonly number[]): Buffer => {
    const lengthAndName = Buffer.concat([Buffer.from(u64(1n)), Buffer.from(name)]).toString("latin1");
    const at = file.indexOf(lengthAndName, undefined, "latin1") + 9;
    const result = Buffer.from(file);
    result.set(bytes, at + skip);
    return result;
  };
  const ofTensors: readonly (readonly [what: string, file: Uint8Array, says: RegExp])[] = [
    ["no axes", named("a", 0, [0]), /tensor "a": expected 1 to 4 axes, got 0/],
    ["five axes", named("a", 0, [5]), /tensor "a": expected 1 to 4 axes, got 5/],
    ["a size of 0", named("a", 4, [0]), /tensor "a": shape: expected sizes from 1 on/],
    ["a product beyond 2^53", named("a", 8, [0, 0, 0, 64]), /tensor "a": shape|tensor "a": truncated/],
    ["a type that there is not", named("a", 20, [99]), /tensor "a": no type of tensors .* is 99/],
    ["half a block", named("c", 4, [31]), /tensor "c": shape: expected rows of whole blocks of 32 \(Q8_0\)/],
    ["a hole before it", named("b", 16, [64]), /tensor "b": offset: expected 32, .* got 64/],
    ["one over another", named("b", 16, [0]), /tensor "b": offset: expected 32/],
    ["an offset beyond the file", named("a", 24, huge), /tensor "a": offset: expected 0/],
    ["data beyond the file", file.subarray(0, file.length - 40), /tensor "c": truncated: its data end at/],
    ["a name that stands there twice", named("a", -1, [0x62]), /tensor "b": it stands there twice/],
  ];
  test.each(ofTensors)("a tensor of %s", (_, bytes, says) => {
    let thrown: unknown;
    try {
      parse(bytes);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(CheckpointError);
    const { code, message, tensor: blamed } = thrown as CheckpointError;
    expect(code).toBe("ERR_CHECKPOINT_FORMAT");
    expect(message).toMatch(says);
    expect(blamed).toBe(/"(\w)"/.exec(String(says))![1]);
  });

  test("a key that stands there twice", () => {
    const twice = Buffer.from(file.toString("latin1").replace("llama.small", "llama.exact"), "latin1");
    expect(() => parse(twice)).toThrow(/"llama.exact" stands there twice/);
  });
});
