/**
 * Methods whose config has one scheme for all matrices that are not left out: AutoAWQ, GPTQ and GPTQModel, fp8 of DeepSeek, Qwen and
 * transformers, FBGEMM, gpt-oss.
 *
 * Sources: the quantisers of transformers (src/transformers/quantizers, utils/quantization_config.py); ModelCloud/GPTQModel
 * (gptqmodel/quantization/config.py); casper-hansen/AutoAWQ; the published checkpoints.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { isObject } from "../checkpoint/json.js";
import { readBlock } from "./compressedTensors.js";
import { partialNames, patternOf } from "./moduleNames.js";
import type { NamePattern } from "./namePattern.js";
import {
  type MatrixScheme,
  type Quantization,
  readGroup,
  requireNothing,
  warnUnknownFields,
} from "./scheme.js";

/** Lists of what was not converted. */
const leftOutFields = ["modules_to_not_convert", "ignored_layers"] as const;

/** One scheme, but for the modules of a list. */
function schemeOfAll(reader: ConfigReader, method: string, scheme: MatrixScheme): Quantization {
  const lists = leftOutFields.map((field) => [field, partialNames(reader, field)] as const);
  const listWith = (module: string) => lists.find(([, isIn]) => isIn(module))?.[0];
  return {
    ...{ method, file: reader.file },
    schemeOf: (module) => (listWith(module) === undefined ? scheme : undefined),
    leftOutBy(module) {
      const field = listWith(module);
      return field === undefined ? undefined : reader.nameOf(field);
    },
  };
}

export function readAwq(reader: ConfigReader): Quantization {
  warnUnknownFields(reader, [
    ...["quant_method", "bits", "w_bit", "group_size", "q_group_size", "zero_point", "version", "backend"],
    ...["modules_to_not_convert", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "exllama_config"],
    ...["format", "pack_dtype", "device", "sym", "desc_act", "lm_head", "meta", "checkpoint_format"],
  ]);
  if (reader.positiveInt(["bits", "w_bit"], 4) !== 4) reader.fail(["bits", "w_bit"], "4");
  const version = reader.string(["version", "format", "checkpoint_format"], "gemm");
  if (version.toLowerCase() !== "gemm") reader.fail(["version", "format", "checkpoint_format"], '"gemm"');
  if (!reader.bool("zero_point", true)) reader.fail("zero_point", "true");
  requireNothing(reader, "desc_act", [false]);
  requireNothing(reader, "pack_dtype", ["int32"]);
  return schemeOfAll(reader, "awq", {
    ...{ format: "awq4", group: readGroup(reader, ["group_size", "q_group_size"], 128), scaleRows: 1 },
    tensors: { codes: ".qweight", scales: [".scales"], zeros: ".qzeros", unread: [] },
    ...{ needsZeros: true, addToZeros: 0, saidBy: reader.nameOf("quant_method") },
  });
}

const gptqFields: readonly string[] = [
  ...["quant_method", "bits", "group_size", "desc_act", "sym", "checkpoint_format", "format", "dynamic"],
  ...["is_marlin_format", "pack_dtype", "modules_to_not_convert"],
  // How codes were found, or what runs them.
  ...["damp_percent", "damp_auto_increment", "static_groups", "true_sequential", "lm_head", "meta", "mse"],
  ...[
    "model_name_or_path",
    "model_file_base_name",
    "dataset",
    "tokenizer",
    "model_seqlen",
    "offload_to_disk",
  ],
  ...["block_name_to_quantize", "module_name_preceding_first_block", "batch_size", "pad_token_id", "backend"],
  ...[
    "use_exllama",
    "disable_exllama",
    "exllama_config",
    "max_input_length",
    "use_cuda_fp16",
    "cache_block_outputs",
  ],
  ...["modules_in_block_to_quantize", "quantizer", "uuid", "parallel_packing", "act_group_aware", "adapter"],
  ...["awq_gemm_checkpoint", "hyb_act", "compression", "device", "offload_to_disk_path"],
];

export function readGptq(reader: ConfigReader): Quantization {
  warnUnknownFields(reader, gptqFields);
  const scheme = readGptqScheme(reader, reader);
  const overrides = readOverrides(reader);
  const overrideOf = (module: string) => overrides.find(({ pattern }) => pattern.matches(module));
  const all = schemeOfAll(reader, "gptq", scheme);
  return {
    ...all,
    schemeOf(module) {
      const override = overrideOf(module);
      return override ? override.scheme : all.schemeOf(module);
    },
    leftOutBy(module) {
      const override = overrideOf(module);
      if (!override) return all.leftOutBy(module);
      return override.scheme ? undefined : reader.nameOf("dynamic");
    },
  };
}

/** @param own the fields of some modules, which win over those of all */
function readGptqScheme(reader: ConfigReader, own: ConfigReader): MatrixScheme {
  const from = (field: string) => (own.has(field) ? own : reader);
  const bits = from("bits").positiveInt("bits");
  if (bits !== 4 && bits !== 8) from("bits").fail("bits", "4 or 8");
  const format = ["checkpoint_format", "format"];
  const version = reader.oneOf(format, ["gptq", "gptq_v2"], "gptq");
  requireNothing(reader, "is_marlin_format", [false]);
  requireNothing(from("pack_dtype"), "pack_dtype", ["int32"]);
  return {
    ...{
      format: bits === 4 ? "gptq4" : "gptq8",
      group: readGroup(from("group_size"), "group_size", 128),
      scaleRows: 1,
    },
    tensors: {
      ...{ codes: ".qweight", scales: [".scales"], zeros: ".qzeros", groupOfInput: ".g_idx" },
      unread: [],
    },
    ...{ needsZeros: true, addToZeros: version === "gptq" ? 1 : 0 },
    needsGroupOfInput: from("desc_act").bool("desc_act", false),
    symmetric: from("sym").bool("sym", true),
    saidBy: own.nameOf("bits"),
  };
}

interface Override {
  readonly pattern: NamePattern;
  /** Undefined: these modules stay dense. */
  readonly scheme: MatrixScheme | undefined;
}

/** `dynamic`: "-:pattern" is left out, "+:pattern" or "pattern" has fields of its own; the first that matches counts. */
function readOverrides(reader: ConfigReader): Override[] {
  const dynamic = reader.optionalObject("dynamic");
  if (!dynamic) return [];
  const entries = Object.entries(dynamic.json);
  if (entries.length > 1000) reader.fail("dynamic", "at most 1000 patterns");
  return entries.map(([key, value]) => {
    const pattern = patternOf(reader, "dynamic", key.replace(/^[+-]:/, ""));
    if (key.startsWith("-:")) return { pattern, scheme: undefined };
    if (!isObject(value)) dynamic.fail(key, "an object");
    const own = dynamic.object(key);
    warnUnknownFields(own, gptqFields);
    return { pattern, scheme: readGptqScheme(reader, own) };
  });
}

export function readFp8(reader: ConfigReader): Quantization {
  warnUnknownFields(reader, [
    ...["quant_method", "fmt", "activation_scheme", "weight_block_size", ...leftOutFields],
    ...["kv_cache_scheme", "scale_fmt", "dequantize", "weight_per_tensor"],
  ]);
  reader.oneOf("fmt", ["e4m3", "float8_e4m3fn", "float8_e4m3"], "e4m3");
  reader.oneOf("activation_scheme", ["dynamic", "static"], "dynamic");
  reader.oneOf("scale_fmt", ["ue8m0", "float"], "float"); // what scales were rounded to; they are stored as floats
  const [scaleRows, group] = reader.has("weight_block_size")
    ? readBlock(reader, "weight_block_size")
    : [0, 0];
  return schemeOfAll(reader, "fp8", {
    ...{ format: "fp8", group, scaleRows },
    tensors: {
      codes: ".weight",
      scales: [".weight_scale_inv", ".weight_scale"], // they multiply, whatever the name says
      unread: [".input_scale", ".activation_scale"],
    },
    ...{ addToZeros: 0, saidBy: reader.nameOf("quant_method") },
  });
}

export function readFbgemmFp8(reader: ConfigReader): Quantization {
  warnUnknownFields(reader, ["quant_method", "activation_scale_ub", ...leftOutFields]);
  return schemeOfAll(reader, "fbgemm_fp8", {
    ...{ format: "fp8", group: 0, scaleRows: 1 },
    tensors: { codes: ".weight", scales: [".weight_scale"], unread: [".input_scale_ub"] },
    ...{ addToZeros: 0, saidBy: reader.nameOf("quant_method") },
  });
}

export function readMxfp4(reader: ConfigReader): Quantization {
  warnUnknownFields(reader, ["quant_method", "dequantize", ...leftOutFields]);
  return schemeOfAll(reader, "mxfp4", {
    ...{ format: "mxfp4", group: 32, scaleRows: 1 },
    tensors: { codes: "_blocks", scales: ["_scales"], unread: [] },
    ...{ addToZeros: 0, saidBy: reader.nameOf("quant_method") },
  });
}
