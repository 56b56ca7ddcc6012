// Contract: a checkpoint of codes computes what the checkpoint computes whose weights are the numbers of these codes, in every layout that is read:
// dense, fused, of experts, of latents, and divided among ranks. Where codes become floats it is the same bits.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Shard } from "../../lib/weights/shard.js";
import {
  codedCheckpoint,
  codedGptOss,
  type CodedLayout,
  codedLayouts,
  floats,
  words,
  writeFiles,
} from "../support/codedCheckpoint.js";
import { tinyV3 } from "../support/deepseekVariants.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { Random } from "../support/random.js";
import { loadRank, Meeting, runRanks } from "../support/ranks.js";
import { runModel } from "../support/runModel.js";
import type { TensorToWrite } from "../support/safetensors.js";
import { firstSeed, someOf } from "../support/seed.js";
import {
  tinyConfig,
  type TinyConfig,
  tinyTensors,
  type TinyTensors,
  writeCheckpoint,
} from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

const isEmulated = !Device.available().includes("cpu");
/** Norm of the difference over norm of the logits, as in variants.test.ts, where codes stay codes: sums of groups are scaled. */
const tolerances: Readonly<Record<FloatDType, number>> = { f32: 1e-5, bf16: 4e-2, f16: 5e-3 };

function expectAlike(actual: Float32Array, expected: Float32Array, dtype: FloatDType): void {
  if (device.weightFormats.includes("int4"))
    expect(compareLogits(actual, expected, actual.length / tokens.length).relative).toBeLessThan(
      tolerances[dtype],
    );
  else expect(Buffer.from(actual.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
}

const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
const sizes = { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 1 };
const llama = tinyConfig("LlamaForCausalLM", sizes);
const phi = tinyConfig("Phi3ForCausalLM", sizes);
const layoutOf = (name: string): CodedLayout => codedLayouts.find((layout) => layout.name === name)!;

async function logitsOf(folder: string, dtype: FloatDType): Promise<Float32Array> {
  const model = await loadModel(folder, { stream, dtype, activations: "float" });
  const [logits] = await runModel(model, stream, [tokens]);
  model.dispose();
  return logits!;
}

async function expectTwins(
  config: TinyConfig,
  files: Readonly<Record<string, TensorToWrite>>,
  twin: TinyTensors,
  dtype: FloatDType,
): Promise<void> {
  const coded = await writeFiles(config, files);
  const { quantization_config: _, ...plain } = config;
  const [actual, expected] = [
    await logitsOf(coded, dtype),
    await logitsOf(await writeCheckpoint(plain, twin), dtype),
  ];
  expect(actual.every(Number.isFinite)).toBe(true);
  expect(new Set(actual).size).toBeGreaterThan(actual.length / 2);
  expectAlike(actual, expected, dtype);
}

const families: readonly { readonly family: string; readonly config: TinyConfig }[] = [
  { family: "Llama", config: llama },
  {
    family: "fused q, k and v, gate and up",
    config: phi,
  },
  {
    family: "experts",
    config: tinyConfig("Qwen3MoeForCausalLM", {
      ...{ ...sizes, num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 32 },
    }),
  },
  {
    family: "latents, of which heads are views",
    config: tinyConfig("DeepseekV3ForCausalLM", {
      ...{ ...tinyV3, ...sizes, q_lora_rank: 32, kv_lora_rank: 64, moe_intermediate_size: 32 },
      num_hidden_layers: 2,
    }),
  },
];
/** A weight that is rounded to bf16 where codes are not may choose another expert. */
const dtypesOf = (config: TinyConfig): readonly FloatDType[] =>
  config === llama || config === phi ? ["f32", "bf16"] : ["f32"];
const all = families.flatMap(({ family, config }) =>
  codedLayouts.flatMap(({ name }) =>
    dtypesOf(config).map((dtype) => ({ family, config, layout: name, dtype })),
  ),
);

describe("codes and the numbers that they stand for give the same bits", () => {
  it.each(someOf(all, isEmulated ? 4 : 40))(
    "$layout: $family in $dtype",
    async ({ config, layout, dtype }) => {
      const made = codedCheckpoint(config, tinyTensors(config), layoutOf(layout), new Random(firstSeed));
      await expectTwins(made.config, made.files, made.twin, dtype);
    },
  );

  it("gpt-oss as it is published, in f32", async () => {
    const { config, files, twin } = codedGptOss(sizes, new Random(firstSeed));
    await expectTwins(config, files, twin, "f32");
  });
});

describe("codes stay codes where the device multiplies them", () => {
  it.each([
    ["compressed-tensors int4, groups of 32", "int4 in groups of 32"],
    ["compressed-tensors int4 of channels with zero points", "int4"],
    ["compressed-tensors int8 in words, groups of 16 with zero points", "int8 in groups of 16"],
    ["compressed-tensors int8 of channels with zero points", "int8"],
    ["compressed-tensors fp8 of tensors", "fp8"],
    ["compressed-tensors mxfp4", "fp4 in groups of 32"],
    ["AWQ", "int4 in groups of 16"],
    ["GPTQ of version 1", "int4 in groups of 32"],
    ["GPTQ of 8 bits", "int8 in groups of 32"],
    ["GPTQ in the order of activations", "int4 in groups of 32"],
    ["GPTQ of 8 bits and version 2 in the order of activations", "int8 in groups of 32"],
    ["compressed-tensors int4, inputs in groups by their activations", "int4 in groups of 16"],
    // A group is no multiple of 16: the numbers of the codes, as f32.
    ["compressed-tensors fp8 in blocks", undefined],
  ])("%s: %s", async (layout, format) => {
    const made = codedCheckpoint(llama, tinyTensors(llama), layoutOf(layout), new Random(firstSeed));
    const model = await loadModel(await writeFiles(made.config, made.files), {
      stream,
      dtype: "f32",
      activations: "float",
    });
    const { weights, weightBytes } = model.shape;
    const kept = device.weightFormats.includes(format?.split(" ")[0] ?? "none");
    expect(weights.map((of) => of.format).sort()).toEqual(kept ? [format, "f32"].sort() : ["f32"]);
    const matrices = weights.find((of) => of.format === (kept ? format : "f32"))!;
    const bits = !kept ? 32 : format!.startsWith("int8") || format === "fp8" ? 8 : 4;
    expect(matrices.bitsPerWeight).toBeGreaterThanOrEqual(bits);
    expect(matrices.bitsPerWeight).toBeLessThan(kept ? 16 : 33); // small groups, and so few inputs fill no block
    expect(weights.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(weightBytes);
    model.dispose();
  });
});

describe("what products make of activations", () => {
  const made = () => codedCheckpoint(llama, tinyTensors(llama), layoutOf("AWQ"), new Random(firstSeed));
  const makesBytes = () => device.takesInt8;
  const keepsCodes = () => device.weightFormats.includes("int4");

  it("bytes, unless they are to stay floats", async () => {
    const { config, files } = made();
    const folder = await writeFiles(config, files);
    const logits: Float32Array[] = [];
    for (const activations of [undefined, "auto", "float"] as const) {
      const model = await loadModel(folder, { stream, dtype: "f32", activations });
      const codes = model.shape.weights.find(({ format }) => format.startsWith("int4"));
      expect(codes?.activations).toBe(
        makesBytes() && activations !== "float" ? "int8" : keepsCodes() ? "float" : undefined,
      );
      logits.push((await runModel(model, stream, [tokens]))[0]!);
      model.dispose();
    }
    const [first, auto, float] = logits as [Float32Array, Float32Array, Float32Array];
    expect(Buffer.from(first.buffer).equals(Buffer.from(auto.buffer))).toBe(true);
    const { relative } = compareLogits(auto, float, llama.vocab_size);
    expect(relative > 0).toBe(makesBytes());
    expect(relative).toBeLessThan(tolerances.bf16); // a byte has as many bits as bf16
  });

  it("bytes that no product would make are refused", async () => {
    const plain = await writeCheckpoint(llama, tinyTensors(llama));
    const refused = loadModel(plain, { stream, activations: "int8" });
    await expect(refused).rejects.toThrow('activations: expected "auto" or "float", got "int8"');
    const { config, files } = made();
    const asked = loadModel(await writeFiles(config, files), { stream, activations: "int8" });
    if (makesBytes()) (await asked).dispose();
    else await expect(asked).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
  });
});

describe("ranks have their part of codes", () => {
  const mixture = families[2]!.config;
  const shards = (tp: number, ep: number): Shard[] =>
    Array.from({ length: Math.max(tp, ep) }, (_, rank) => ({
      tp: { rank: tp > 1 ? rank : 0, size: tp },
      ep: { rank: ep > 1 ? rank : 0, size: ep },
    }));
  it.each([
    ["compressed-tensors int4, inputs in groups by their activations", llama],
    ["GPTQ of version 1", llama],
    ["AWQ", mixture],
    ["fp8 of DeepSeek, blocks of 24 x 40", mixture],
  ] as const)("%s", async (layout, config) => {
    const made = codedCheckpoint(config, tinyTensors(config), layoutOf(layout), new Random(firstSeed));
    const folders = [await writeFiles(made.config, made.files), await writeCheckpoint(config, made.twin)];
    const logits: Float32Array[] = [];
    for (const folder of folders) {
      const meeting = new Meeting();
      const sums = { tp: meeting.sum, ep: meeting.sum };
      const ranks = await Promise.all(
        shards(2, config === mixture ? 2 : 1).map((shard) =>
          loadRank(folder, shard, { stream, dtype: "f32", sums }),
        ),
      );
      logits.push((await runRanks(ranks, meeting, stream, tokens))[1]!);
      for (const rank of ranks) rank.dispose();
    }
    expectAlike(logits[0]!, logits[1]!, "f32");
  });
});

describe("files that say otherwise than their config", () => {
  const gptq = layoutOf("GPTQ of version 1");
  const make = (layout = gptq) => codedCheckpoint(llama, tinyTensors(llama), layout, new Random(firstSeed));
  const isZeros = (name: string): boolean => name.endsWith(".qzeros");
  const filled = ({ shape, data }: TensorToWrite, byte: number) =>
    words(shape, new Uint8Array(data.length).fill(byte));

  it.each([
    ["version 1", 0x77, 0x77, gptq],
    ["version 2, which says that it is 1", 0x88, 0x77, gptq],
    ["version 1 in 8 bits", 0x7f, 0x7f, layoutOf("GPTQ of 8 bits")],
    ["version 2 in 8 bits, which says that it is 1", 0x80, 0x7f, layoutOf("GPTQ of 8 bits")],
  ])("symmetric GPTQ of %s", async (_name, byte, ofVersion1, layout) => {
    const { config, files } = make(layout);
    const symmetric = { ...(config["quantization_config"] as object), sym: true };
    for (const [name, tensor] of Object.entries(files)) if (isZeros(name)) files[name] = filled(tensor, byte);
    const expected = { ...files };
    for (const [name, tensor] of Object.entries(files))
      if (isZeros(name)) expected[name] = filled(tensor, ofVersion1);
    const [actual, same] = [
      await logitsOf(await writeFiles({ ...config, quantization_config: symmetric }, files), "f32"),
      await logitsOf(await writeFiles(config, expected), "f32"),
    ];
    expect(Buffer.from(actual.buffer).equals(Buffer.from(same.buffer))).toBe(true);
  });

  it("a bias of zeros beside codes is none; another one is refused by name", async () => {
    const { config, files, twin } = make();
    const name = "model.layers.0.mlp.up_proj.bias";
    await expectTwins(config, { ...files, [name]: floats("f16", [96], new Float64Array(96)) }, twin, "f32");
    const ones = floats("f16", [96], new Float64Array(96).fill(1));
    await expect(
      loadModel(await writeFiles(config, { ...files, [name]: ones }), { stream }),
    ).rejects.toMatchObject({
      ...{ code: "ERR_CHECKPOINT_TENSOR", tensor: name },
    });
  });

  it("a matrix that stayed as it was is taken as it is, with scales of a cache beside it", async () => {
    const { config, files, twin } = make(layoutOf("compressed-tensors fp8 of tensors"));
    const module = "model.layers.0.self_attn.v_proj";
    const { shape, dtype, values } = tinyTensors(llama).get(`${module}.weight`)!;
    for (const ending of ["weight", "weight_scale", "input_scale"]) delete files[`${module}.${ending}`];
    files[`${module}.weight`] = floats(dtype, shape, values);
    twin.set(`${module}.weight`, { shape, dtype, values });
    const scale = floats("f32", [1], Float64Array.of(2));
    for (const name of ["k_scale", "v_scale", "k_proj.output_scale"])
      files[`model.layers.0.self_attn.${name}`] = scale;
    await expectTwins(config, files, twin, "f32");
  });
});
