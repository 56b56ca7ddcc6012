// Contract: however a GGUF file is damaged, the outcome is tensors that lie in the file, or a typed error: of the reader, of the config,
// of the tokenizer, of the load; never another exception, never a hang, and never memory beyond a small multiple of the file.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CheckpointError, WarploopError } from "../../lib/errors.js";
import { parseHeader } from "../../lib/gguf/header.js";
import { describeModel, loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { filesOf, mixture } from "../support/gguf/blocks.js";
import { byteVocabulary } from "../support/gguf/tokenizers.js";
import { convertToFile } from "../support/gguf/convert.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { Random } from "../support/random.js";
import { runModel } from "../support/runModel.js";
import { firstSeed, runsOf } from "../support/seed.js";

let folder: string;
let files: readonly Buffer[];
/** Where the data begin. */
let heads: readonly number[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "warploop-gguf-fuzz-"));
  const tokenizer = byteVocabulary(["<|im_start|>", "<|im_end|>"], { merges: ["a b", "ab c"] });
  files = [
    await convertToFile(goldenFolder("llama"), "bf16", tokenizer),
    await convertToFile(goldenFolder("qwen3_moe"), "f16", tokenizer),
    filesOf(mixture, (name) =>
      /exps/.test(name) ? "mxfp4_gguf" : /ffn|embd/.test(name) ? "q4_k" : "q8_0",
    )[0]!,
  ];
  heads = files.map((file) => parseHeader(file, file.length, "f")!.tensors[0]!.byteOffset);
});
afterAll(() => rm(folder, { recursive: true }));

type Draw = (below: number) => number;
type Mutation = (head: Buffer, random: Draw) => Buffer;

const numbers = [0n, 1n, 3n, 255n, 65_536n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

const mutations: readonly Mutation[] = [
  (head, random) => {
    const at = random(head.length);
    head[at] = head[at]! ^ (1 << random(8));
    return head;
  },
  (head, random) => {
    head.writeBigUInt64LE(numbers[random(numbers.length)]!, random(head.length - 8));
    return head;
  },
  (head, random) => {
    head.writeUInt32LE(Number(numbers[random(numbers.length)]! & 0xffffffffn), random(head.length - 4));
    return head;
  },
  (head, random) => head.subarray(0, random(head.length)),
  (head, random) => {
    const [from, to, length] = [random(head.length), random(head.length), random(64)];
    head.copy(head, to, from, Math.min(from + length, head.length));
    return head;
  },
  // A key, or a name, that is another one.
  (head, random) => {
    const text = head.toString("latin1");
    const keys = [...text.matchAll(/[a-z]{3,}[._][a-z_.]{3,}/g)];
    const [one, other] = [keys[random(keys.length)]!, keys[random(keys.length)]!];
    head.write(other[0].padEnd(one[0].length, "_").slice(0, one[0].length), one.index, "latin1");
    return head;
  },
  // The first number behind a key: counts, sizes, types.
  (head, random) => {
    const keys = [...head.toString("latin1").matchAll(/[a-z]{3,}[._][a-z_.]{3,}/g)];
    const key = keys[random(keys.length)]!;
    const at = key.index + key[0].length + 4 * random(4);
    if (at + 8 <= head.length) head.writeBigUInt64LE(numbers[random(numbers.length)]!, at);
    return head;
  },
];

interface Mutated {
  readonly head: Buffer;
  readonly data: Buffer;
}

function mutate(seed: number): Mutated {
  const generator = new Random(seed);
  const random: Draw = (below) => generator.integer(0, Math.max(1, below));
  const which = random(files.length);
  let head: Buffer = Buffer.from(files[which]!.subarray(0, heads[which]));
  for (let rounds = 1 + random(2); rounds > 0 && head.length > 64; rounds--)
    head = mutations[random(mutations.length)]!(head, random);
  return { head, data: files[which]!.subarray(heads[which]) };
}

test("headers in memory", () => {
  const numRuns = runsOf({ few: 800, whole: 100_000 });
  let numValid = 0;
  const heapBefore = process.memoryUsage().heapUsed;
  for (let seed = firstSeed; seed < firstSeed + numRuns; seed++) {
    const { head, data } = mutate(seed);
    const size = head.length + data.length;
    try {
      const header = parseHeader(head, size, "f");
      for (const { name, byteOffset, byteLength } of header?.tensors ?? [])
        if (!(byteOffset >= 0 && byteLength > 0 && byteOffset + byteLength <= size))
          throw new Error(`tensor ${name} at ${byteOffset} of ${byteLength} bytes in ${size}`);
      numValid++;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(numValid).toBeGreaterThan(numRuns / 100);
  expect(numValid).toBeLessThan(numRuns * 0.9);
  globalThis.gc?.();
  expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(100e6);
});

test("files on disk, as far as a model is described and its tokenizer read", async () => {
  vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  const path = join(folder, "model.gguf");
  const numRuns = runsOf({ few: 120, whole: 5000 });
  let numRead = 0;
  for (let seed = firstSeed; seed < firstSeed + numRuns; seed++) {
    const { head, data } = mutate(seed);
    await writeFile(path, [head, data]);
    try {
      const { source } = await describeModel(path);
      await source.tokenizer();
      await source.templates();
      await using _weights = await source.openWeights();
      numRead++;
    } catch (error) {
      if (!(error instanceof WarploopError)) throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(numRead).toBeGreaterThan(0);
  vi.restoreAllMocks();
}, 300_000);

test("files in blocks, as far as logits", async () => {
  vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  await using device = openTestDevice();
  const path = join(folder, "blocks.gguf");
  const file = files.at(-1)!;
  const numRuns = runsOf({ few: 40, whole: 3000 });
  let numRun = 0;
  for (let seed = firstSeed; seed < firstSeed + numRuns; seed++) {
    const random = new Random(seed);
    const mutated = Buffer.from(file);
    const head = mutated.subarray(0, heads.at(-1));
    const where = random.uniform() < 0.5 ? head : mutated;
    for (let rounds = random.integer(1, 9); rounds > 0; rounds--)
      where[random.integer(0, where.length)] = random.integer(0, 256);
    await writeFile(path, mutated);
    await using stream = device.createStream(); // an error of execution stays with its stream
    try {
      const model = await loadModel(path, { stream, dtype: "f32", contextLength: 16 });
      await runModel(model, stream, [[1, 2, 3]]);
      model.dispose();
      numRun++;
    } catch (error) {
      if (!(error instanceof WarploopError)) throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(numRun).toBeGreaterThan(numRuns / 10);
  vi.restoreAllMocks();
}, 300_000);
