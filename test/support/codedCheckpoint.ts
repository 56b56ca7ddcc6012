/**
 * Checkpoints whose matrices are random codes, in the layout of each method, and the same with the numbers that these codes stand for: written
 * from the formats, with the decoders of test/reference/storedFormats.ts, and not from lib/quantization.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { dequantised } from "../reference/storedFormats.js";
import { toStorage, type FloatDType } from "./dtype.js";
import type { Random } from "./random.js";
import { encodeSafetensors, type TensorToWrite } from "./safetensors.js";
import { randomStored, type RandomStored, type StoredOptions } from "./storedRows.js";
import { tinyConfig, type TinyConfig, tinyTensors, type TinyTensors } from "./tinyCheckpoint.js";

/** How a method stores the matrices of a checkpoint. */
export interface CodedLayout {
  readonly name: string;
  /** `quantization_config` */
  readonly config: Readonly<Record<string, unknown>>;
  readonly stored: Omit<StoredOptions, "N" | "K">;
  /** Endings of the names of its tensors, and their shapes. */
  tensors(m: RandomStored): Readonly<Record<string, TensorToWrite>>;
}

const bytesOf = (values: {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
}) => new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
export const words = (shape: readonly number[], values: Uint8Array | Int32Array): TensorToWrite => ({
  ...{ dtype: "I32", shape, data: bytesOf(values) },
});
/** Of scales, which are f32, f16 or bf16, or exponents. */
function scalesOf(m: RandomStored, shape: readonly number[]): TensorToWrite {
  if (m.scaleDType === "u8")
    return { dtype: "U8", shape, data: Uint8Array.from(m.scales!, (scale) => Math.log2(scale) + 127) };
  return { dtype: m.scaleDType.toUpperCase(), shape, data: bytesOf(toStorage(m.scaleDType, m.scales!)) };
}
const groupsOf = ({ K, group }: RandomStored): number => Math.ceil(K / group);

const ct = (format: string, weights: object, more: object = {}): CodedLayout["config"] => ({
  ...{ quant_method: "compressed-tensors", format, ignore: ["lm_head"], quantization_status: "compressed" },
  config_groups: { group_0: { targets: ["Linear"], weights, input_activations: null } },
  ...more,
});

/** Codes in words along K, `each` of them in one. */
function packedTensors(m: RandomStored, each: number): Record<string, TensorToWrite> {
  const { N, K, zeros, gIdx } = m;
  const G = groupsOf(m);
  return {
    weight_packed: words([N, Math.ceil(K / each)], m.codes),
    weight_scale: scalesOf(m, [N, G]),
    weight_shape: { dtype: "I64", shape: [2], data: bytesOf(BigInt64Array.of(BigInt(N), BigInt(K))) },
    ...(zeros && { weight_zero_point: words([Math.ceil(N / each), G], zeros as Int32Array) }),
    ...(gIdx && { weight_g_idx: words([K], gIdx) }),
  };
}

function byteTensors(m: RandomStored, dtype: string, scale = "weight_scale"): Record<string, TensorToWrite> {
  const { N, K, codes, zeros, scaleRows } = m;
  const shape = scaleRows === N && m.group >= K ? [1] : [Math.ceil(N / scaleRows), groupsOf(m)];
  return {
    weight: { dtype, shape: [N, K], data: codes },
    [scale]: scalesOf(m, shape),
    ...(zeros && { weight_zero_point: { dtype: "I8", shape, data: bytesOf(zeros) } }),
    input_scale: { dtype: "F32", shape: [1], data: bytesOf(Float32Array.of(0.5)) },
  };
}

const awqTensors = (m: RandomStored): Record<string, TensorToWrite> => ({
  qweight: words([m.K, m.N / 8], m.codes),
  qzeros: words([groupsOf(m), m.N / 8], m.zeros as Int32Array),
  scales: scalesOf(m, [groupsOf(m), m.N]),
});
function gptqTensors(m: RandomStored): Record<string, TensorToWrite> {
  const each = m.format === "gptq4" ? 8 : 4;
  return {
    qweight: words([m.K / each, m.N], m.codes),
    qzeros: words([groupsOf(m), Math.ceil(m.N / each)], m.zeros as Int32Array),
    scales: scalesOf(m, [groupsOf(m), m.N]),
    g_idx: words([m.K], m.gIdx ?? Int32Array.from({ length: m.K }, (_, k) => Math.floor(k / m.group))),
  };
}
const gptq = { quant_method: "gptq", bits: 4, group_size: 32, desc_act: false, sym: false };

export const codedLayouts: readonly CodedLayout[] = [
  {
    name: "compressed-tensors int4, groups of 32",
    config: ct("pack-quantized", { num_bits: 4, type: "int", strategy: "group", group_size: 32 }),
    stored: { format: "packed4", group: 32, scale: "bf16" },
    tensors: (m) => packedTensors(m, 8),
  },
  {
    name: "compressed-tensors int4 of channels with zero points",
    config: ct("pack-quantized", { num_bits: 4, type: "int", strategy: "channel", symmetric: false }),
    stored: { format: "packed4", zeros: true, scale: "f16" },
    tensors: (m) => packedTensors(m, 8),
  },
  {
    name: "compressed-tensors int4, inputs in groups by their activations",
    config: ct("pack-quantized", {
      ...{ num_bits: 4, type: "int", strategy: "group", group_size: 16, symmetric: false, actorder: "group" },
    }),
    stored: { format: "packed4", group: 16, zeros: true, gIdx: true, scale: "bf16" },
    tensors: (m) => packedTensors(m, 8),
  },
  {
    name: "compressed-tensors int8 in words, groups of 16 with zero points",
    config: ct("pack-quantized", {
      num_bits: 8,
      type: "int",
      strategy: "group",
      group_size: 16,
      symmetric: false,
    }),
    stored: { format: "packed8", group: 16, zeros: true, scale: "bf16" },
    tensors: (m) => packedTensors(m, 4),
  },
  {
    name: "compressed-tensors int8 of channels with zero points",
    config: ct("int-quantized", { num_bits: 8, type: "int", strategy: "channel", symmetric: false }),
    stored: { format: "int8", zeros: true, scale: "bf16" },
    tensors: (m) => byteTensors(m, "I8"),
  },
  {
    name: "compressed-tensors fp8 of tensors",
    config: ct("float-quantized", { num_bits: 8, type: "float", strategy: "tensor" }),
    stored: { format: "fp8", scaleRows: Infinity, scale: "bf16" },
    tensors: (m) => byteTensors(m, "F8_E4M3"),
  },
  {
    name: "compressed-tensors fp8 in blocks",
    config: ct("float-quantized", {
      num_bits: 8,
      type: "float",
      strategy: "block",
      block_structure: [24, 40],
    }),
    stored: { format: "fp8", scaleRows: 24, group: 40 },
    tensors: (m) => byteTensors(m, "F8_E4M3"),
  },
  {
    name: "compressed-tensors mxfp4",
    config: ct("mxfp4-pack-quantized", { num_bits: 4, type: "float", strategy: "group", group_size: 32 }),
    stored: { format: "mxfp4" },
    tensors: (m) => ({
      weight_packed: { dtype: "U8", shape: [m.N, m.K / 2], data: m.codes },
      weight_scale: scalesOf(m, [m.N, m.K / 32]),
    }),
  },
  {
    name: "AWQ",
    config: { quant_method: "awq", bits: 4, group_size: 16, zero_point: true, version: "gemm" },
    stored: { format: "awq4", group: 16, zeros: true, scale: "f16" },
    tensors: awqTensors,
  },
  {
    name: "AWQ with a scale for each output",
    config: { quant_method: "awq", bits: 4, group_size: -1, zero_point: true, version: "gemm" },
    stored: { format: "awq4", zeros: true, scale: "f16" },
    tensors: awqTensors,
  },
  {
    name: "GPTQ of version 1",
    config: gptq,
    stored: { format: "gptq4", group: 32, zeros: true, version1: true, scale: "f16" },
    tensors: gptqTensors,
  },
  {
    name: "GPTQ of version 2",
    config: { ...gptq, checkpoint_format: "gptq_v2" },
    stored: { format: "gptq4", group: 32, zeros: true, scale: "f16" },
    tensors: gptqTensors,
  },
  {
    name: "GPTQ in the order of activations",
    config: { ...gptq, desc_act: true },
    stored: { format: "gptq4", group: 32, zeros: true, version1: true, gIdx: true, scale: "f16" },
    tensors: gptqTensors,
  },
  {
    name: "GPTQ of 8 bits",
    config: { ...gptq, bits: 8 },
    stored: { format: "gptq8", group: 32, zeros: true, version1: true, scale: "f16" },
    tensors: gptqTensors,
  },
  {
    name: "GPTQ of 8 bits and version 2 in the order of activations",
    config: { ...gptq, bits: 8, desc_act: true, checkpoint_format: "gptq_v2" },
    stored: { format: "gptq8", group: 32, zeros: true, gIdx: true, scale: "f16" },
    tensors: gptqTensors,
  },
  {
    name: "fp8 of DeepSeek, blocks of 24 x 40",
    config: { quant_method: "fp8", fmt: "e4m3", weight_block_size: [24, 40] },
    stored: { format: "fp8", scaleRows: 24, group: 40 },
    tensors: (m) => byteTensors(m, "F8_E4M3", "weight_scale_inv"),
  },
  {
    name: "fp8 of channels",
    config: { quant_method: "fbgemm_fp8", activation_scale_ub: 1200 },
    stored: { format: "fp8" },
    tensors(m) {
      const { input_scale: _, ...tensors } = byteTensors(m, "F8_E4M3");
      return tensors;
    },
  },
];

/** Matrices that methods convert: not the router of a mixture, nor the embedding and the head. */
const converted = /(_proj|\.w[123]|input_linear|output_linear)\.weight$/;

/** A checkpoint in codes and its twin of f32, both with the numbers of the codes. */
export interface CodedCheckpoint {
  readonly config: TinyConfig;
  readonly files: Record<string, TensorToWrite>;
  readonly twin: TinyTensors;
}

export function codedCheckpoint(
  config: TinyConfig,
  tensors: TinyTensors,
  layout: CodedLayout,
  random: Random,
): CodedCheckpoint {
  const files: Record<string, TensorToWrite> = {};
  const twin: TinyTensors = new Map(tensors);
  for (const [name, { shape, dtype, values }] of tensors) {
    if (!converted.test(name) || shape.length !== 2) {
      files[name] = floats(dtype, shape, values);
      continue;
    }
    const [N, K] = shape as [number, number];
    const { scaleRows } = layout.stored;
    const m = randomStored(
      { ...layout.stored, N, K, scaleRows: scaleRows === Infinity ? N : scaleRows },
      random,
    );
    const module = name.replace(/weight$/, "");
    for (const [ending, tensor] of Object.entries(layout.tensors(m))) files[module + ending] = tensor;
    twin.set(name, { shape, dtype: "f32", values: dequantised(m) });
  }
  return { config: { ...config, quantization_config: layout.config }, files, twin };
}

/** gpt-oss as it is published: stacks of experts in mxfp4, which its model has transposed. */
export function codedGptOss(sizes: Readonly<Record<string, unknown>>, random: Random): CodedCheckpoint {
  const config = tinyConfig("GptOssForCausalLM", {
    ...{ ...sizes, num_local_experts: 3, num_experts_per_tok: 2, intermediate_size: 32, swiglu_limit: 0.5 },
    ...{ sliding_window: 5, layer_types: ["full_attention"], attention_bias: true, rope_scaling: null },
    quantization_config: {
      quant_method: "mxfp4",
      modules_to_not_convert: ["model.layers.*.self_attn", "lm_head"],
    },
  });
  const files: Record<string, TensorToWrite> = {};
  const twin: TinyTensors = new Map(tinyTensors(config));
  for (const [name, { shape, dtype, values }] of twin) {
    if (!/experts\.(gate_up|down)_proj$/.test(name)) {
      files[name] = floats(dtype, shape, values);
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
  return { config, files, twin };
}

export const floats = (dtype: FloatDType, shape: readonly number[], values: Float64Array): TensorToWrite => ({
  ...{ dtype: dtype.toUpperCase(), shape, data: bytesOf(toStorage(dtype, values)) },
});

/** Writes a checkpoint folder that is removed when the test ends. */
export async function writeFiles(
  config: unknown,
  files: Readonly<Record<string, TensorToWrite>>,
): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "warploop-checkpoint-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(path.join(folder, "config.json"), JSON.stringify(config));
  await writeFile(path.join(folder, "model.safetensors"), encodeSafetensors(files));
  return folder;
}
