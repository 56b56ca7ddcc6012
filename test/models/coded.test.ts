// Contract: a checkpoint of codes computes what the checkpoint computes whose weights are the numbers of these codes, in every layout that is read:
// dense, fused, of experts, of latents, and divided among ranks. Where codes become floats it is the same bits. What does not fit is named
// before a weight is loaded.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Shard } from "../../lib/weights/shard.js";
import {
  codedCheckpoint,
  type CodedLayout,
  codedLayouts,
  floats,
  scalesOf,
  words,
  writeFiles,
} from "../support/codedCheckpoint.js";
import { tinyV3 } from "../support/deepseekVariants.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { toStorage } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { loadRank, Meeting, runRanks } from "../support/ranks.js";
import { runModel } from "../support/runModel.js";
import type { TensorToWrite } from "../support/safetensors.js";
import { firstSeed, someOf } from "../support/seed.js";
import { randomStored } from "../support/storedRows.js";
import {
  tinyConfig,
  type TinyConfig,
  tinyTensors,
  type TinyTensors,
  writeCheckpoint,
} from "../support/tinyCheckpoint.js";
import { dequantised } from "../reference/storedFormats.js";

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
  const model = await loadModel(folder, { stream, dtype });
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
  isEmulated || config === llama || config === phi ? ["f32", "bf16"] : ["f32"];
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

  it.each(isEmulated ? (["f32", "bf16"] as const) : (["f32"] as const))(
    "gpt-oss as it is published, in %s",
    async (dtype) => {
      const config = tinyConfig("GptOssForCausalLM", {
        ...{
          ...sizes,
          num_local_experts: 3,
          num_experts_per_tok: 2,
          intermediate_size: 32,
          swiglu_limit: 0.5,
        },
        ...{ sliding_window: 5, layer_types: ["full_attention"], attention_bias: true, rope_scaling: null },
        quantization_config: {
          quant_method: "mxfp4",
          modules_to_not_convert: ["model.layers.*.self_attn", "lm_head"],
        },
      });
      const random = new Random(firstSeed);
      const files: Record<string, TensorToWrite> = {};
      const twin: TinyTensors = new Map(tinyTensors(config));
      for (const [name, { shape, dtype: stored, values }] of twin) {
        if (!/experts\.(gate_up|down)_proj$/.test(name)) {
          files[name] = floats(stored, shape, values);
          continue;
        }
        const [E, K, N] = shape as [number, number, number];
        const m = randomStored({ format: "mxfp4", N: E * N, K }, random);
        files[`${name}_blocks`] = { dtype: "U8", shape: [E, N, K / 32, 16], data: m.codes };
        files[`${name}_scales`] = scalesOf(m, [E, N, K / 32]);
        const rows = dequantised(m);
        const turned = rows.map((_, i) => {
          const [e, k, n] = [Math.floor(i / (K * N)), Math.floor(i / N) % K, i % N];
          return rows[(e * N + n) * K + k]!;
        });
        twin.set(name, { shape, dtype: "f32", values: turned });
      }
      await expectTwins(config, files, twin, dtype);
    },
  );
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
    // A group is no multiple of 16, or no neighbours: the numbers of the codes, as f32.
    ["compressed-tensors fp8 in blocks", undefined],
    ["GPTQ in the order of activations", undefined],
  ])("%s: %s", async (layout, format) => {
    const made = codedCheckpoint(llama, tinyTensors(llama), layoutOf(layout), new Random(firstSeed));
    const model = await loadModel(await writeFiles(made.config, made.files), { stream, dtype: "f32" });
    const { weights, weightBytes } = model.shape;
    const kept = device.weightFormats.includes(format?.split(" ")[0] ?? "none");
    expect(weights.map((of) => of.format).sort()).toEqual(kept ? [format, "f32"].sort() : ["f32"]);
    const matrices = weights.find((of) => of.format === (kept ? format : "f32"))!;
    const bits = !kept ? 32 : format!.startsWith("int8") || format === "fp8" ? 8 : 4;
    expect(matrices.bitsPerWeight).toBeGreaterThanOrEqual(bits);
    expect(matrices.bitsPerWeight).toBeLessThan(1.5 * bits + 2); // small groups, and rows that fill a panel
    expect(weights.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(weightBytes);
    model.dispose();
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
    ["version 1", 0x77],
    ["version 2, which says that it is 1", 0x88],
  ])("symmetric GPTQ of %s", async (_name, byte) => {
    const { config, files } = make();
    const symmetric = { ...(config["quantization_config"] as object), sym: true };
    for (const [name, tensor] of Object.entries(files)) if (isZeros(name)) files[name] = filled(tensor, byte);
    const expected = { ...files };
    for (const [name, tensor] of Object.entries(files))
      if (isZeros(name)) expected[name] = filled(tensor, 0x77);
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

describe("what does not fit", () => {
  const up = "model.layers.0.mlp.up_proj";
  const zeros = (dtype: string, ...shape: number[]): TensorToWrite => {
    const size = { I32: 4, F16: 2, F32: 4, BF16: 2 }[dtype] ?? 1;
    return { dtype, shape, data: new Uint8Array(shape.reduce((product, n) => product * n, size)) };
  };
  const nan = (layout: string, at: number, byte: number) => (files: Record<string, TensorToWrite>) => {
    const name = `${up}.${layout.includes("mxfp4") ? "weight_scale" : "weight"}`;
    const { data, ...rest } = files[name]!;
    const changed = Uint8Array.from(data);
    changed[at] = byte;
    files[name] = { ...rest, data: changed };
  };
  const [gptq, awq, int4, fp8] = [
    "GPTQ in the order of activations",
    "AWQ",
    "compressed-tensors int4 of channels with zero points",
    "fp8 of DeepSeek, blocks of 24 x 40",
  ];
  const put = (ending: string, tensor?: TensorToWrite) => (files: Record<string, TensorToWrite>) => {
    if (tensor) files[up + ending] = tensor;
    else delete files[up + ending];
  };
  type Change = (files: Record<string, TensorToWrite>) => void;
  it.each<[layout: string, change: Change, says: string, code?: string]>([
    [gptq, put(".qweight"), `1 missing: ${up}.weight or ${up}.qweight; 3 unexpected: ${up}.qzeros`],
    [gptq, put(".scales"), `1 missing: ${up}.scales`],
    [gptq, put(".g_idx"), `1 missing: ${up}.g_idx`],
    [gptq, put(".qzeros"), `1 missing: ${up}.qzeros`],
    [
      gptq,
      put(".qweight", zeros("I32", 96, 8)),
      `1 wrong: ${up}.qweight (shape: expected [8, 96], got [96, 8])`,
    ],
    [
      gptq,
      put(".scales", zeros("F16", 1, 96)),
      `1 wrong: ${up}.scales (shape: expected [2, 96], got [1, 96])`,
    ],
    [gptq, put(".g_idx", zeros("I32", 96)), `1 wrong: ${up}.g_idx (shape: expected [64], got [96])`],
    [
      awq,
      put(".qzeros", zeros("I32", 4, 96)),
      `1 wrong: ${up}.qzeros (shape: expected [4, 12], got [4, 96])`,
    ],
    [
      awq,
      put(".scales", zeros("I32", 4, 96)),
      `1 wrong: ${up}.scales (dtype: expected f32, bf16, f16, got i32)`,
    ],
    [
      int4,
      put(".weight_zero_point", zeros("I8", 96, 1)),
      `${up}.weight_zero_point (dtype: expected i32, got i8)`,
    ],
    [int4, put(".weight_zero_point"), `1 missing: ${up}.weight_zero_point`],
    [fp8, put(".weight_scale_inv"), `1 missing: ${up}.weight_scale_inv`],
    [fp8, put(".weight_zero_point", zeros("F8_E4M3", 1)), `1 unexpected: ${up}.weight_zero_point`],
    [fp8, put(".weight", zeros("F8_E5M2", 96, 64)), `${up}.weight (dtype: expected fp8e4m3, got F8_E5M2)`],
    [
      fp8,
      nan(fp8, 65, 0x7f),
      "tensor one from model.layers.0.self_attn.q_proj.weight to model.layers.0.mlp.down_proj.weight: dequantize: stored row 1 ",
      "ERR_CHECKPOINT_FORMAT",
    ],
    [
      "compressed-tensors mxfp4",
      nan("mxfp4", 6, 255),
      ": the scale of stored row 3, group 0 is NaN",
      "ERR_CHECKPOINT_FORMAT",
    ],
  ])("%s: case %#", async (layout, change, says, code = "ERR_CHECKPOINT_TENSOR") => {
    const { config, files } = codedCheckpoint(
      llama,
      tinyTensors(llama),
      layoutOf(layout),
      new Random(firstSeed),
    );
    change(files);
    const own = device.createStream(); // the error of an op ends it
    const folder = await writeFiles(config, files);
    const error: unknown = await loadModel(folder, { stream: own }).catch((thrown: unknown) => thrown);
    await own.dispose();
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toContain(says);
  });

  it("a matrix of codes that a list leaves out", async () => {
    const made = codedCheckpoint(llama, tinyTensors(llama), layoutOf(fp8), new Random(firstSeed));
    const quantization_config = { ...layoutOf(fp8).config, modules_to_not_convert: ["up_proj"] };
    const folder = await writeFiles({ ...made.config, quantization_config }, made.files);
    await expect(loadModel(folder, { stream })).rejects.toThrow(
      `${up}.weight (dtype: expected f32, f16 or bf16, got fp8e4m3 (quantization_config.modules_to_not_convert leaves it as it was))`,
    );
  });

  it("experts in several formats", async () => {
    const { config } = families[2]!;
    const made = codedCheckpoint(config, tinyTensors(config), layoutOf(fp8), new Random(firstSeed));
    const expert = "model.layers.0.mlp.experts.1.up_proj";
    made.files[`${expert}.weight`] = {
      dtype: "F16",
      shape: [32, 64],
      data: new Uint8Array(toStorage("f16", new Float64Array(2048)).buffer as ArrayBuffer),
    };
    await expect(loadModel(await writeFiles(made.config, made.files), { stream })).rejects.toThrow(
      `${expert}.weight (dtype: expected fp8e4m3 as in model.layers.0.mlp.experts.0.up_proj.weight, got f16)`,
    );
  });
});
