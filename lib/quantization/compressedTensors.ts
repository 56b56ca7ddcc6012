/**
 * Checkpoints of compressed-tensors (LLM Compressor, Neural Magic, Red Hat): groups of modules, each with a scheme.
 *
 * Source: compressed_tensors/quantization/quant_config.py, quant_args.py and compressors/ of vllm-project/compressed-tensors.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { isObject } from "../checkpoint/json.js";
import { exactNames, Match } from "./moduleNames.js";
import {
  type MatrixScheme,
  type Quantization,
  requireNothing,
  type SchemeFormat,
  warnUnknownFields,
} from "./scheme.js";

const knownFields: readonly string[] = [
  ...["quant_method", "format", "quantization_status", "global_compression_ratio", "version"],
  ...["kv_cache_scheme", "ignore", "config_groups", "sparsity_config", "transform_config"],
];

/** By the name that it has in files: what codes it stores in which tensor, and of how many bits. */
const formats: Readonly<
  Record<string, readonly { bits: number; type: "int" | "float"; format: SchemeFormat; codes: string }[]>
> = {
  "pack-quantized": [
    { bits: 4, type: "int", format: "packed4", codes: ".weight_packed" },
    { bits: 8, type: "int", format: "packed8", codes: ".weight_packed" },
  ],
  "int-quantized": [{ bits: 8, type: "int", format: "int8", codes: ".weight" }],
  "float-quantized": [{ bits: 8, type: "float", format: "fp8", codes: ".weight" }],
  // The old name of the two before.
  "naive-quantized": [
    { bits: 8, type: "int", format: "int8", codes: ".weight" },
    { bits: 8, type: "float", format: "fp8", codes: ".weight" },
  ],
  "mxfp4-pack-quantized": [{ bits: 4, type: "float", format: "mxfp4", codes: ".weight_packed" }],
};

/** Inside a checkpoint of several formats each group says its own. */
const mixed = "mixed-precision";

export function readCompressedTensors(reader: ConfigReader): Quantization {
  warnUnknownFields(reader, knownFields);
  // "frozen" is what older exports of compressed weights say. Weights that are not compressed have dtypes that show it.
  reader.oneOf("quantization_status", ["compressed", "frozen"], "compressed");
  if (reader.has("sparsity_config")) reader.object("sparsity_config").oneOf("format", ["dense"], "dense");
  requireNothing(reader, "transform_config");
  const matchIgnored = exactNames(reader, "ignore");
  const isIgnored = (module: string) => matchIgnored(module) !== Match.none;
  const groups = readGroups(reader);
  return {
    method: "compressed-tensors",
    file: reader.file,
    schemeOf: (module) => (isIgnored(module) ? undefined : closest(groups, module)?.scheme),
    leftOutBy(module) {
      if (isIgnored(module)) return reader.nameOf("ignore");
      return closest(groups, module) ? undefined : reader.nameOf("config_groups");
    },
  };
}

/** Of the groups that are for a module the one that names it, before one with a pattern, before that of its class. */
function closest(groups: readonly Group[], module: string): Group | undefined {
  const matches = groups.map(({ matchTarget }) => matchTarget(module));
  const best = Math.min(Match.none, ...matches);
  return best === Match.none ? undefined : groups[matches.indexOf(best)];
}

interface Group {
  readonly matchTarget: (module: string) => number;
  readonly scheme: MatrixScheme;
}

function readGroups(reader: ConfigReader): Group[] {
  const all = reader.object("config_groups");
  return Object.entries(all.json).map(([name, value]): Group => {
    if (!isObject(value)) all.fail(name, "an object");
    const group = all.object(name);
    warnUnknownFields(group, ["targets", "weights", "input_activations", "output_activations", "format"]);
    requireNothing(group, "output_activations");
    const fallback = reader.has("format") ? reader.string("format") : undefined;
    const said = group.has("format") ? group : fallback === mixed ? group : reader;
    const format = said.oneOf("format", Object.keys(formats));
    return {
      matchTarget: exactNames(group, "targets", "Linear"),
      scheme: readScheme(group.object("weights"), format, group.nameOf("weights")),
    };
  });
}

function readScheme(weights: ConfigReader, formatName: string, saidBy: string): MatrixScheme {
  const rows = formats[formatName]!;
  const types = [...new Set(rows.map((row) => row.type))];
  const type = weights.oneOf("type", types, types.includes("int") ? "int" : undefined);
  const bits = weights.positiveInt("num_bits", 8);
  const row = rows.find((one) => one.bits === bits && one.type === type);
  if (!row) {
    const possible = rows.filter((one) => one.type === type).map((one) => one.bits);
    weights.fail("num_bits", `${possible.join(" or ")} in format "${formatName}"`);
  }
  requireNothing(weights, "dynamic", [false]);
  const { format, codes } = row;
  const isInt = type === "int";
  const symmetric = weights.bool("symmetric", true);
  if (!isInt && !symmetric) weights.fail("symmetric", "true of floats");
  // "weight" and "static" reorder nothing that is stored.
  const order = weights.json["actorder"] ?? null;
  const known = [null, false, true, "group", "dynamic", "weight", "static"];
  if (!known.includes(order as string)) weights.fail("actorder", '"group", "weight", "static" or nothing');
  const isReordered = order === "group" || order === "dynamic" || order === true;
  if (isReordered && !format.startsWith("packed"))
    weights.fail("actorder", `nothing in format "${formatName}"`);
  const packed = codes === ".weight_packed";
  return {
    ...{ format, saidBy, ...readStrategy(weights, format) },
    addToZeros: 0,
    ...{ needsZeros: !symmetric, needsGroupOfInput: isReordered },
    tensors: {
      codes,
      scales: [".weight_scale"],
      zeros: isInt ? ".weight_zero_point" : undefined,
      groupOfInput: packed ? ".weight_g_idx" : undefined,
      unread: [...(packed ? [".weight_shape"] : []), ".input_scale", ".input_zero_point"],
    },
  };
}

/** What shares a scale. */
function readStrategy(
  weights: ConfigReader,
  format: SchemeFormat,
): Pick<MatrixScheme, "group" | "scaleRows"> {
  if (format === "mxfp4") {
    weights.oneOf("strategy", ["group"], "group");
    const group = weights.positiveInt("group_size", 32);
    return group === 32 ? { group, scaleRows: 1 } : weights.fail("group_size", "32");
  }
  const fallback = weights.has("group_size") ? "group" : "tensor";
  switch (weights.oneOf("strategy", ["tensor", "channel", "group", "block"], fallback)) {
    case "tensor":
      return { group: 0, scaleRows: 0 };
    case "channel":
      return { group: 0, scaleRows: 1 };
    case "group": {
      const isWhole = weights.json["group_size"] === -1;
      return { group: isWhole ? 0 : weights.positiveInt("group_size"), scaleRows: 1 };
    }
    case "block": {
      const [rows, columns] = readBlock(weights, "block_structure");
      return { group: columns, scaleRows: rows };
    }
  }
}

/** [rows, inputs] of a block of weights with one scale; old files have "128x128". */
export function readBlock(reader: ConfigReader, field: string): readonly [number, number] {
  const value = reader.json[field];
  const sizes = typeof value === "string" ? value.split("x").map(Number) : value;
  const isBlock =
    Array.isArray(sizes) &&
    sizes.length === 2 &&
    sizes.every((size) => Number.isSafeInteger(size) && size > 0);
  return isBlock ? (sizes as [number, number]) : reader.fail(field, "two positive integers: rows and inputs");
}
