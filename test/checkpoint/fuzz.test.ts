// Contract: however a safetensors file is damaged, the outcome is a checkpoint whose tensors lie in the file, or a
// CheckpointError; never another exception, and never memory beyond a small multiple of the file.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CheckpointError } from "../../lib/errors.js";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import {
  lengthFieldBytes,
  parseHeader,
  parseHeaderLength,
  type TensorEntry,
} from "../../lib/checkpoint/safetensorsHeader.js";
import { Random } from "../support/random.js";
import { encodeRaw, encodeSafetensors } from "../support/safetensors.js";
import { firstSeed } from "../support/seed.js";

const timeBudgetMs = 2000;
const maxRuns = 40_000;

type Draw = (below: number) => number;

/** Uniform integers in [0, below). */
function seededRandom(seed: number): Draw {
  const random = new Random(seed);
  return (below) => random.integer(0, below);
}

type Mutation = (file: Buffer, random: Draw) => Buffer;

const jsonBytes = (file: Buffer): number =>
  Math.min(Number(file.readBigUInt64LE(0)), file.length - lengthFieldBytes);

/** Values that a reader may trip over, put in place of any value of the header. */
const oddValues = [
  "-1",
  "1e999",
  "9007199254740993",
  "1.5",
  "null",
  "[]",
  "{}",
  '"I64"',
  "[0,0]",
  "[8,0]",
  "-0",
  "[[[]]]",
];

const mutations: Readonly<Record<string, Mutation>> = {
  "flip a byte of the header": (file, random) => {
    const at = random(lengthFieldBytes + jsonBytes(file));
    file[at] = (file[at] ?? 0) ^ (1 << random(8));
    return file;
  },
  "replace a byte of the JSON": (file, random) => {
    file[lengthFieldBytes + random(jsonBytes(file))] = '{}[]",:0-9e\\ \0\xff'.charCodeAt(random(15));
    return file;
  },
  truncate: (file, random) => file.subarray(0, random(file.length)),
  append: (file, random) => Buffer.concat([file, Buffer.alloc(1 + random(64))]),
  "change the length field": (file, random) => {
    const lengths = [
      0n,
      1n,
      2n ** 31n,
      2n ** 53n,
      2n ** 64n - 1n,
      100_000_001n,
      BigInt(random(2 * file.length)),
    ];
    file.writeBigUInt64LE(lengths[random(lengths.length)]!, 0);
    return file;
  },
  "change a number": (file, random) => editJson(file, /\d+/g, random, () => String(random(40))),
  "replace a number": (file, random) =>
    editJson(file, /\d+/g, random, () => oddValues[random(oddValues.length)]!),
  "replace a list": (file, random) =>
    editJson(file, /\[[^\]]*\]/g, random, () => oddValues[random(oddValues.length)]!),
  "replace an object": (file, random) =>
    editJson(file, /\{[^{}]*\}/g, random, () => oddValues[random(oddValues.length)]!),
  "replace a string": (file, random) =>
    editJson(file, /"\w*"/g, random, () => ['""', '"a"', '"shape"', "0"][random(4)]!),
  "repeat a tensor": (file, random) =>
    editJson(file, /"\w+":\{[^}]*\}/g, random, (text) => `${text},${text}`),
};

/** Replaces one match in the JSON and corrects the length field, so that deeper checks are reached. */
function editJson(file: Buffer, pattern: RegExp, random: Draw, replace: (text: string) => string): Buffer {
  const end = lengthFieldBytes + jsonBytes(file);
  const text = file.toString("latin1", lengthFieldBytes, end);
  const matches = [...text.matchAll(pattern)];
  const match = matches[random(Math.max(1, matches.length))];
  if (match === undefined) return file;
  const edited = text.slice(0, match.index) + replace(match[0]) + text.slice(match.index + match[0].length);
  return Buffer.from(encodeRaw(edited, file.subarray(end)));
}

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);
const seedFiles: readonly Uint8Array[] = [
  encodeSafetensors({
    a: { dtype: "F32", shape: [2, 2], data: bytes(16) },
    b: { dtype: "BF16", shape: [3], data: bytes(6) },
    c: { dtype: "U8", shape: [0], data: bytes(0) },
    d: { dtype: "I64", shape: [], data: bytes(8) },
  }),
  encodeRaw(
    '{"__metadata__":{"format":"pt"},"x":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}  ',
    bytes(8),
  ),
  encodeRaw("{}"),
];

function mutate(random: Draw): { readonly file: Buffer; readonly trace: string } {
  let file: Buffer = Buffer.from(seedFiles[random(seedFiles.length)]!);
  const names = Object.keys(mutations);
  const trace: string[] = [];
  for (let rounds = 1 + random(3); rounds > 0 && file.length >= lengthFieldBytes; rounds--) {
    const name = names[random(names.length)]!;
    // A header of length 0 has no byte to change.
    if (jsonBytes(file) === 0) break;
    file = mutations[name]!(file, random);
    trace.push(name);
  }
  return { file, trace: trace.join(", ") };
}

/** The rules that a loader relies on: everything lies in the file, and nothing overlaps. */
function checkEntries(entries: Iterable<TensorEntry>, fileSize: number): void {
  let end = 0;
  for (const { byteOffset, byteLength, shape } of entries) {
    const isOk =
      byteOffset >= Math.max(end, lengthFieldBytes) &&
      byteLength >= 0 &&
      byteOffset + byteLength <= fileSize &&
      shape.every((size) => Number.isSafeInteger(size) && size >= 0);
    if (!isOk)
      throw new Error(`tensor at ${byteOffset} of ${byteLength} bytes after ${end} in ${fileSize} bytes`);
    end = byteOffset + byteLength;
  }
}

function parse(file: Buffer): TensorEntry[] {
  const length = parseHeaderLength(file.subarray(0, lengthFieldBytes), file.length, "f");
  return parseHeader(file.subarray(lengthFieldBytes, lengthFieldBytes + length), file.length, "f");
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "warploop-fuzz-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("headers in memory", () => {
  const start = performance.now();
  const heapBefore = process.memoryUsage().heapUsed;
  let numValid = 0;
  let numRuns = 0;
  for (; numRuns < maxRuns && performance.now() - start < timeBudgetMs; numRuns++) {
    const seed = firstSeed + numRuns;
    const { file, trace } = mutate(seededRandom(seed));
    try {
      checkEntries(parse(file), file.length);
      numValid++;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw new Error(`seed ${seed}: ${trace}`, { cause: error });
    }
  }
  // Both outcomes must be common, or the mutations are too wild or too tame to test anything.
  expect(numRuns).toBeGreaterThan(500);
  expect(numValid).toBeGreaterThan(numRuns / 100);
  expect(numValid).toBeLessThan(numRuns / 2);
  globalThis.gc?.();
  expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(50e6);
});

test("files on disk", async () => {
  const start = performance.now();
  const path = join(folder, "model.safetensors");
  const first = firstSeed + maxRuns;
  for (let seed = first; seed < first + 1000 && performance.now() - start < timeBudgetMs; seed++) {
    const { file, trace } = mutate(seededRandom(seed));
    await writeFile(path, file);
    try {
      await using checkpoint = await openCheckpoint(folder);
      checkEntries(checkpoint.tensors.values(), file.length);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw new Error(`seed ${seed}: ${trace}`, { cause: error });
    }
  }
});
