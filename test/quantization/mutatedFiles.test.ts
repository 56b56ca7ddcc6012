// Contract: however the header, the config or the codes of a quantised checkpoint are damaged, the outcome is a plan whose bytes lie in the file
// and whose memory is a small multiple of it, or a typed error; never another exception, never a hang; and so with logits.
import { type FileHandle, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import type { JsonObject } from "../../lib/checkpoint/json.js";
import { lengthFieldBytes, parseHeader, parseHeaderLength } from "../../lib/checkpoint/safetensorsHeader.js";
import { addTensors, Checkpoint, type TensorEntry } from "../../lib/checkpoint/tensorFiles.js";
import { WarploopError } from "../../lib/errors.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { findFamily } from "../../lib/models/registry.js";
import { readQuantization } from "../../lib/quantization/quantization.js";
import type { CodedTensor } from "../../lib/weights/codedMatrix.js";
import { planCoded } from "../../lib/weights/codedRows.js";
import { settleCodes } from "../../lib/weights/settleCodes.js";
import { type PlannedPart, resolveWeights } from "../../lib/weights/weightMap.js";
import { codedCheckpoint, codedGptOss, codedLayouts } from "../support/codedCheckpoint.js";
import { openTestDevice } from "../support/devices.js";
import { entriesOf, type HeaderEntry, headerText, mutateEntries } from "../support/mutateHeader.js";
import { mutateJson } from "../support/mutateJson.js";
import { Random } from "../support/random.js";
import { runModel } from "../support/runModel.js";
import { encodeRaw } from "../support/safetensors.js";
import { firstSeed, runsOf } from "../support/seed.js";
import { tinyConfig, type TinyConfig, tinyTensors } from "../support/tinyCheckpoint.js";

const sizes = { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 1 };
const llama = tinyConfig("LlamaForCausalLM", sizes);
const mixture = tinyConfig("Qwen3MoeForCausalLM", {
  ...{ ...sizes, num_experts: 2, num_experts_per_tok: 1, moe_intermediate_size: 32 },
});

/** A checkpoint in codes that can be damaged. */
interface Whole {
  readonly config: TinyConfig;
  readonly entries: readonly HeaderEntry[];
  readonly data: Uint8Array;
}

const bases: readonly (readonly [layout: string, config: TinyConfig])[] = [
  ["compressed-tensors int4, inputs in groups by their activations", llama],
  ["compressed-tensors int8 of channels with zero points", tinyConfig("Phi3ForCausalLM", sizes)],
  ["compressed-tensors fp8 in blocks", llama],
  ["compressed-tensors mxfp4", mixture],
  ["AWQ", mixture],
  ["GPTQ of version 1", mixture],
  ["GPTQ in the order of activations", llama],
  ["GPTQ of 8 bits and version 2 in the order of activations", mixture],
  ["fp8 of DeepSeek, blocks of 24 x 40", mixture],
];

let wholes: readonly Whole[];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "warploop-mutated-"));
  const made = bases.map(([name, config]) =>
    codedCheckpoint(
      config,
      tinyTensors(config),
      codedLayouts.find((one) => one.name === name)!,
      new Random(1),
    ),
  );
  wholes = [...made, codedGptOss(sizes, new Random(1))].map(({ config, files }) => ({
    config,
    entries: entriesOf(files),
    data: Buffer.concat(Object.values(files).map(({ data }) => data)),
  }));
  vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** How likely each part is damaged. */
interface Damage {
  readonly config: number;
  readonly header: number;
  readonly text: number;
  readonly data: number;
}

interface Mutated {
  /** Of config.json. */
  readonly json: string;
  /** model.safetensors */
  readonly file: Uint8Array;
}

function mutated(seed: number, damage: Damage): Mutated {
  const random = new Random(seed);
  const whole = wholes[seed % wholes.length]!;
  let config: Readonly<Record<string, unknown>> = whole.config;
  let { entries } = whole;
  const isHit = (share: number) => random.uniform() < share;
  if (isHit(damage.config)) {
    const quantization_config = mutateJson(config["quantization_config"], random);
    config = { ...config, quantization_config };
  }
  while (isHit(damage.header)) entries = mutateEntries(entries, random);
  const header = Buffer.from(headerText(entries));
  while (isHit(damage.text)) header[random.integer(0, header.length)] = random.integer(0, 256);
  const file = encodeRaw(header, whole.data);
  while (isHit(damage.data)) {
    // A run of equal bytes: NaN of fp8 and of exponents, groups that there are not.
    const at = file.length - random.integer(1, whole.data.length);
    const byte = random.uniform() < 0.3 ? 0xff : random.integer(0, 256);
    file.fill(byte, at, Math.min(at + random.integer(1, 9), file.length));
  }
  return { json: JSON.stringify(config), file };
}

/** What a loader relies on. */
function checkPart(part: PlannedPart, fileBytes: number): void {
  const { coded } = part;
  const isInside = ({ entry, start, bytes }: Pick<CodedTensor, "entry" | "start" | "bytes">) =>
    Number.isInteger(bytes) && start >= 0 && bytes >= 0 && start + bytes <= entry.byteLength;
  const tensors = coded ? [coded.codes, coded.scales, coded.zeros, coded.groupOfInput] : [];
  const bytes = [{ entry: part.entry, ...part.stored }, ...tensors.filter((tensor) => tensor !== undefined)];
  if (!bytes.every(isInside)) throw new Error(`${part.entry.name}: outside its tensor`);
  if (!coded) return;
  for (const dtype of ["f32", undefined] as const) {
    const plan = planCoded(part, { dtype, whole: false });
    const reads = [...plan.companions, ...plan.strips.flatMap(({ read }) => read ?? [])];
    const isFitting = reads.every(
      (read) => read.start + read.bytes <= read.tensor.bytes && read.to + read.bytes <= plan.bytes,
    );
    const rows = plan.strips.reduce((sum, { count }) => sum + count, 0);
    // A code of 4 bits becomes a number of 32.
    if (!isFitting || rows !== part.rows || plan.bytes > 16 * fileBytes)
      throw new Error(`${part.entry.name}: ${rows} rows in ${plan.bytes} bytes`);
  }
}

/** Of a run; what is slower hangs. */
const mostMs = 10_000;

/** @returns how many were no error */
async function runAll(runs: number, damage: Damage, run: (made: Mutated) => Promise<void>): Promise<number> {
  let numValid = 0;
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const made = mutated(seed, damage);
    const start = performance.now();
    try {
      await run(made);
      numValid++;
    } catch (error) {
      if (!(error instanceof WarploopError)) throw new Error(`seed ${seed}`, { cause: error });
    }
    if (performance.now() - start > mostMs) throw new Error(`seed ${seed}: more than ${mostMs} ms`);
  }
  return numValid;
}

/** The tensors of a file in memory. */
function checkpointOf(file: Uint8Array): Checkpoint {
  const length = parseHeaderLength(file, file.length, "f");
  const header = file.subarray(lengthFieldBytes, lengthFieldBytes + length);
  const tensors = new Map<string, TensorEntry>();
  addTensors(tensors, parseHeader(header, file.length, "f"));
  const read = (into: Uint8Array, at: number, bytes: number, from: number) => {
    into.set(file.subarray(from, from + bytes), at);
    return Promise.resolve({ bytesRead: bytes });
  };
  return new Checkpoint("memory", tensors, new Map([["f", { read } as unknown as FileHandle]]));
}

test("in memory, as far as a plan", { timeout: 7_200_000 }, async () => {
  const runs = runsOf({ few: 400, whole: 100_000 });
  const damage = { config: 0.5, header: 0.4, text: 0.03, data: 0.2 };
  const heapBefore = process.memoryUsage().heapUsed;
  const numValid = await runAll(runs, damage, async ({ json, file }) => {
    const reader = new ConfigReader("config.json", JSON.parse(json) as JsonObject);
    const family = findFamily((reader.json["architectures"] as [string])[0], "config.json");
    const quantization = await readQuantization(reader, "none");
    const checkpoint = checkpointOf(file);
    const plan = resolveWeights(family(reader).weights, checkpoint, undefined, quantization);
    for (const { parts } of await settleCodes(plan, checkpoint))
      for (const part of parts) checkPart(part, file.length);
  });
  expect(numValid).toBeGreaterThan(runs / 10);
  expect(numValid).toBeLessThan(runs * 0.9);
  globalThis.gc?.();
  expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(100e6);
});

test("on disk, as far as logits", { timeout: 3_600_000 }, async () => {
  await using device = openTestDevice();
  const runs = runsOf({ few: 60, whole: 3000 });
  const damage = { config: 0.15, header: 0.15, text: 0.02, data: 0.6 };
  const numValid = await runAll(runs, damage, async ({ json, file }) => {
    await writeFile(join(folder, "config.json"), json);
    await writeFile(join(folder, "model.safetensors"), file);
    await using stream = device.createStream(); // an error of execution stays with its stream
    const model = await loadModel(folder, { stream, dtype: "f32", contextLength: 16 });
    await runModel(model, stream, [[1, 2, 3]]);
    model.dispose();
  });
  expect(numValid).toBeGreaterThan(runs / 10);
  expect(numValid).toBeLessThan(runs);
});
