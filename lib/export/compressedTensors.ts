/**
 * How compressed-tensors stores a matrix in codes, and what config.json says of it: int4 and int8 as `pack-quantized` in groups, fp8 as
 * `float-quantized` with a scale for each row and activations in fp8 by token, which are the schemes W4A16, W8A16 and FP8_DYNAMIC of LLM
 * Compressor.
 *
 * Source: compressed_tensors/quantization/quant_scheme.py and compressors/ of vllm-project/compressed-tensors.
 */
import type { QuantizeOption } from "../weights/quantizePlan.js";
import type { ExportedMatrix, ExportPlan } from "./exportPlan.js";
import type { TensorToWrite } from "../checkpoint/safetensorsWriter.js";

/** Of what a matrix becomes: codes, scales and, of packed ones, the shape. */
export function tensorsOf({ module, outputs: N, inputs: K, made }: ExportedMatrix): readonly TensorToWrite[] {
  const groups = made.group === 0 ? 1 : Math.ceil(K / made.group);
  const scale = { name: `${module}.weight_scale`, dtype: "BF16", shape: [N, groups], bytes: 2 * N * groups };
  if (made.format === "fp8") {
    return [{ name: `${module}.weight`, dtype: "F8_E4M3", shape: [N, K], bytes: N * K }, scale];
  }
  const words = Math.ceil(K / codesPerWord(made.format));
  return [
    { name: `${module}.weight_packed`, dtype: "I32", shape: [N, words], bytes: 4 * N * words },
    scale,
    { name: `${module}.weight_shape`, dtype: "I64", shape: [2], bytes: 16 },
  ];
}

function codesPerWord(format: "int8" | "packed4"): number {
  return format === "int8" ? 4 : 8;
}

/** Codes as `quantize` writes them, in the words of the file: those of signed bytes count from -128. In place. */
export function toFile(format: ExportedMatrix["made"]["format"], codes: Uint8Array): Uint8Array {
  if (format === "int8") for (let i = 0; i < codes.length; i++) codes[i]! ^= 0x80;
  return codes;
}

/** `quantization_config` */
export function quantizationConfig(option: QuantizeOption, { matrices, ignored }: ExportPlan): object {
  const all = [...matrices.values()];
  const sizes = [...new Set(all.map(({ made }) => made.group))]
    .map((group) => [group, all.filter(({ made }) => made.group === group)] as const)
    .sort(([, a], [, b]) => b.length - a.length);
  const groups = sizes.map(([group, those], i) => [
    `group_${i}`,
    {
      targets: i === 0 ? ["Linear"] : those.map(({ module }) => module),
      weights: weightsOf(option, group),
      ...{ input_activations: option === "fp8" ? fp8Activations : null, output_activations: null },
    },
  ]);
  return {
    quant_method: "compressed-tensors",
    format: option === "fp8" ? "float-quantized" : "pack-quantized",
    quantization_status: "compressed",
    config_groups: Object.fromEntries(groups) as object,
    ignore: ignored,
    kv_cache_scheme: null,
  };
}

const fp8Activations = { num_bits: 8, type: "float", strategy: "token", symmetric: true, dynamic: true };

function weightsOf(option: QuantizeOption, group: number): object {
  const common = { symmetric: true, dynamic: false, actorder: null };
  if (option === "fp8")
    return { num_bits: 8, type: "float", strategy: "channel", group_size: null, ...common };
  return {
    num_bits: option === "int4" ? 4 : 8,
    type: "int",
    strategy: "group",
    group_size: group,
    ...common,
  };
}
