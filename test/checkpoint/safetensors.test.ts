// Contract: openCheckpoint accepts exactly the safetensors format and turns every other file into a CheckpointError.
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckpointError } from "../../lib/errors.js";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { encodeRaw, encodeSafetensors } from "../support/safetensors.js";

let root: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "warploop-safetensors-"));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function folderOf(files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const folder = join(root, String(count++));
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

async function errorOf(files: Readonly<Record<string, Uint8Array | string>>): Promise<CheckpointError> {
  const folder = await folderOf(files);
  const error: unknown = await openCheckpoint(folder).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

const f32 = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const vector = (...values: number[]) => ({ dtype: "F32", shape: [values.length], data: f32(...values) });

/** One tensor "a" with 8 bytes of data and the given fields. */
function oneTensor(fields: object, dataBytes = 8): Uint8Array {
  const header = { a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } };
  return encodeRaw(JSON.stringify(header), new Uint8Array(dataBytes));
}

describe("valid files", () => {
  test.each(["gpt2", "llama", "qwen3", "qwen3_moe", "mixtral"])("golden checkpoint %s", async (family) => {
    const folder = goldenFolder(family);
    await using checkpoint = await openCheckpoint(folder);
    const { size } = await stat(join(folder, "model.safetensors"));
    let end = 0;
    for (const entry of checkpoint.tensors.values()) {
      expect(entry.dtype).toBe("bf16");
      expect(entry.byteLength).toBe(2 * entry.shape.reduce((product, length) => product * length, 1));
      if (end > 0) expect(entry.byteOffset).toBe(end);
      end = entry.byteOffset + entry.byteLength;
    }
    expect(end).toBe(size);
  });

  test("bytes are those of the file, and read after close fails", async () => {
    const folder = await folderOf({
      "model.safetensors": encodeSafetensors({ a: vector(1, 2, 3), b: vector(4) }),
    });
    const checkpoint = await openCheckpoint(folder);
    const entry = checkpoint.tensors.get("a")!;
    const file = await readFile(entry.file);
    expect(file.subarray(entry.byteOffset, entry.byteOffset + 12)).toEqual(Buffer.from(f32(1, 2, 3)));
    const into = new Uint8Array(8);
    await checkpoint.read(entry, into, 4);
    expect(into).toEqual(f32(2, 3));
    await expect(checkpoint.read(entry, into, 5)).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
    await checkpoint.close();
    await checkpoint.close();
    await expect(checkpoint.read(entry, into)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });

  test("dtypes, scalars, empty tensors, metadata, padding, odd names", async () => {
    const header = JSON.stringify({
      __metadata__: { format: "pt", note: 'a "b": {c}' },
      scalar: { dtype: "F32", shape: [], data_offsets: [0, 4] },
      empty: { dtype: "F16", shape: [0, 3], data_offsets: [4, 4] },
      __proto__x: { dtype: "I64", shape: [1], data_offsets: [4, 12] },
      'q"uo\\te: {': { dtype: "F8_E4M3", shape: [1], data_offsets: [12, 13] },
      "모델 🦊": { dtype: "FUTURE", shape: [7], data_offsets: [13, 14] },
    }).replace("__proto__x", "__proto__");
    const folder = await folderOf({ "model.safetensors": encodeRaw(`${header}   `, new Uint8Array(14)) });
    await using checkpoint = await openCheckpoint(folder);
    expect([...checkpoint.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ["scalar", "f32", []],
      ["empty", "f16", [0, 3]],
      ["__proto__", "unsupported:I64", [1]],
      ['q"uo\\te: {', "fp8e4m3", [1]],
      ["모델 🦊", "unsupported:FUTURE", [7]],
    ]);
  });

  test("no tensors at all", async () => {
    await using checkpoint = await openCheckpoint(await folderOf({ "model.safetensors": encodeRaw("{}") }));
    expect(checkpoint.tensors.size).toBe(0);
  });

  test("shards of an index", async () => {
    const index = { metadata: { total_size: 12 }, weight_map: { a: "x.safetensors", b: "y.safetensors" } };
    const folder = await folderOf({
      "model.safetensors.index.json": JSON.stringify(index),
      "x.safetensors": encodeSafetensors({ a: vector(1, 2) }),
      "y.safetensors": encodeSafetensors({ b: vector(3) }),
    });
    await using checkpoint = await openCheckpoint(folder);
    const into = new Uint8Array(4);
    await checkpoint.read(checkpoint.tensors.get("b")!, into);
    expect(into).toEqual(f32(3));
    expect(checkpoint.tensors.get("b")!.file).toBe(join(folder, "y.safetensors"));
  });
});

describe("malformed single files", () => {
  const deep = 200_000;
  const notUtf8 = Buffer.from('{"\xff":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', "latin1");
  const cases: readonly (readonly [name: string, file: Uint8Array, message: RegExp])[] = [
    ["empty", new Uint8Array(), /the file is empty/],
    ["7 bytes", new Uint8Array(7), /truncated: expected at least 8 bytes, got 7/],
    ["header of length 0", new Uint8Array(8), /does not start with \{/],
    ["header length beyond the file", encodeRaw("{}").slice(0, 9), /2 bytes exceed the file of 9 bytes/],
    [
      "header length of 2^64 - 1",
      new Uint8Array(16).fill(255),
      /at most 100000000 bytes, got 18446744073709551615/,
    ],
    ["header that is not JSON", encodeRaw("{nonsense}"), /not valid JSON/],
    ["header that is not UTF-8", encodeRaw(notUtf8), /not valid JSON: .*utf-8/],
    ["header with a byte order mark", encodeRaw("\ufeff{}"), /does not start with \{/],
    ["header that is an array", encodeRaw("[]"), /does not start with \{/],
    ["header nested deeply", encodeRaw(`{"a":${"[".repeat(deep)}${"]".repeat(deep)}}`), /expected an object/],
    ["metadata that is not text", encodeRaw('{"__metadata__":{"a":1}}'), /__metadata__/],
    [
      "duplicate tensor",
      encodeRaw(
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
      /duplicate keys/,
    ],
    [
      "duplicate field",
      encodeRaw('{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
      /duplicate keys/,
    ],
    ["tensor that is null", encodeRaw('{"a":null}'), /tensor "a": expected an object, got null/],
    ["dtype that is a number", oneTensor({ dtype: 32 }), /dtype: expected a name, got 32/],
    [
      "shape that is missing",
      oneTensor({ shape: undefined }),
      /shape: expected non-negative integers, got nothing/,
    ],
    ["negative size", oneTensor({ shape: [-2] }), /shape: .* got \[-2\]/],
    ["fractional size", oneTensor({ shape: [1.5] }), /shape: .* got \[1.5\]/],
    ["size that is text", oneTensor({ shape: ["2"] }), /shape: .* got \["2"\]/],
    ["size beyond 2^53", oneTensor({ shape: [2 ** 54] }), /shape: expected/],
    ["product beyond 2^53", oneTensor({ shape: [2 ** 30, 2 ** 30] }), /shape: \[.*\] overflows/],
    ["bytes beyond 2^53", oneTensor({ shape: [2 ** 52] }), /shape: \[.*\] overflows/],
    ["offsets that are missing", oneTensor({ data_offsets: undefined }), /data_offsets: .* got nothing/],
    ["one offset", oneTensor({ data_offsets: [8] }), /data_offsets: .* got \[8\]/],
    ["three offsets", oneTensor({ data_offsets: [0, 4, 8] }), /data_offsets: .* got \[0, 4, 8\]/],
    ["negative offset", oneTensor({ data_offsets: [-8, 0] }), /data_offsets: .* got \[-8, 0\]/],
    ["begin after end", oneTensor({ data_offsets: [8, 0] }), /begin 8 lies after end 0/],
    ["end beyond the data", oneTensor({}, 7), /end 8 lies beyond the 7 bytes of data/],
    ["too few bytes for the shape", oneTensor({ shape: [3] }), /expected 12 bytes for F32 \[3\], got 8/],
    ["half a byte", oneTensor({ dtype: "F4", shape: [15] }), /expected 7.5 bytes for F4 \[15\], got 8/],
    ["trailing bytes", oneTensor({}, 9), /1 bytes follow the last tensor/],
    ["hole in front", oneTensor({ data_offsets: [1, 9] }, 9), /1 unused bytes before it/],
    [
      "overlap",
      encodeRaw(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
        new Uint8Array(3),
      ),
      /tensor "b": data_offsets: overlaps/,
    ],
  ];
  test.each(cases)("%s", async (_name, file, message) => {
    const error = await errorOf({ "model.safetensors": file });
    expect(error.code).toBe("ERR_CHECKPOINT_FORMAT");
    expect(error.message).toMatch(message);
    expect(error.file).toMatch(/model\.safetensors$/);
    if (/tensor "/.test(error.message)) expect(error.tensor).toMatch(/^[ab]$/);
  });
});

describe("missing and inconsistent files", () => {
  const tensor = encodeSafetensors({ a: vector(1) });
  const index = (weightMap: unknown): string => JSON.stringify({ weight_map: weightMap });
  const indexName = "model.safetensors.index.json";
  const cases: readonly (readonly [string, Record<string, Uint8Array | string>, string, RegExp])[] = [
    ["no weights", {}, "ERR_CHECKPOINT_MISSING", /expected model.safetensors or .*, found neither/],
    [
      "missing shard",
      { [indexName]: index({ a: "x.safetensors" }) },
      "ERR_CHECKPOINT_MISSING",
      /x.safetensors: no such file/,
    ],
    ["index that is not JSON", { [indexName]: "{" }, "ERR_CHECKPOINT_FORMAT", /not valid JSON/],
    ["index that is a list", { [indexName]: "[]" }, "ERR_CHECKPOINT_FORMAT", /expected a JSON object/],
    [
      "index without map",
      { [indexName]: "{}" },
      "ERR_CHECKPOINT_FORMAT",
      /weight_map: expected an object, got nothing/,
    ],
    ["index without tensors", { [indexName]: index({}) }, "ERR_CHECKPOINT_FORMAT", /at least one tensor/],
    [
      "shard that is a number",
      { [indexName]: index({ a: 1 }) },
      "ERR_CHECKPOINT_FORMAT",
      /tensor "a": .* got 1/,
    ],
    [
      "shard that is not safetensors",
      { [indexName]: index({ a: "x.bin" }) },
      "ERR_CHECKPOINT_FORMAT",
      /got "x.bin"/,
    ],
    [
      "shard in the parent folder",
      { [indexName]: index({ a: "../x.safetensors" }) },
      "ERR_CHECKPOINT_FORMAT",
      /got "\.\.\/x/,
    ],
    [
      "shard with an absolute path",
      { [indexName]: index({ a: "/x.safetensors" }) },
      "ERR_CHECKPOINT_FORMAT",
      /got "\/x/,
    ],
    [
      "shard with a backslash",
      { [indexName]: index({ a: "..\\x.safetensors" }) },
      "ERR_CHECKPOINT_FORMAT",
      /got/,
    ],
    [
      "tensor that its shard lacks",
      { [indexName]: index({ b: "x.safetensors" }), "x.safetensors": tensor },
      "ERR_CHECKPOINT_TENSOR",
      /x.safetensors: tensor "b" is not in this file/,
    ],
    [
      "tensor in another shard",
      {
        [indexName]: index({ a: "y.safetensors", b: "x.safetensors" }),
        "x.safetensors": tensor,
        "y.safetensors": encodeSafetensors({ b: vector(1) }),
      },
      "ERR_CHECKPOINT_TENSOR",
      /tensor "a" is not in this file/,
    ],
    [
      "tensor in two shards",
      {
        [indexName]: index({ a: "x.safetensors", b: "y.safetensors" }),
        "x.safetensors": tensor,
        "y.safetensors": encodeSafetensors({ b: vector(1), a: vector(1) }),
      },
      "ERR_CHECKPOINT_FORMAT",
      /y.safetensors: tensor "a" is also in .*x.safetensors/,
    ],
  ];
  test.each(cases)("%s", async (_name, files, code, message) => {
    const error = await errorOf(files);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.file).toMatch(/\.safetensors(\.index\.json)?$/);
    expect(error.message).toContain(basename(error.file!));
  });

  test("model.safetensors that is a folder", async () => {
    const folder = await folderOf({});
    await mkdir(join(folder, "model.safetensors"));
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: "ERR_CHECKPOINT_MISSING" });
  });
});
