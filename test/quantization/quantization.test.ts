// Contract: what the config of a quantised checkpoint says of each module, for every method that is read; every other scheme is refused before
// a weight is there, with the file and the field; nothing that a config holds ends in anything but that.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { type Quantization, readQuantization } from "../../lib/quantization/quantization.js";
import { collectWarnings } from "../support/warnings.js";

type Fields = Readonly<Record<string, unknown>>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "warploop-"));
});
afterAll(() => rm(folder, { recursive: true }));

const read = (config: unknown, field = "quantization_config"): Promise<Quantization | undefined> =>
  readQuantization(new ConfigReader("config.json", { [field]: config }), folder);

const int4 = { num_bits: 4, type: "int", symmetric: true, strategy: "group", group_size: 128 };
const group = (weights: Fields, more: Fields = {}): Fields => ({ targets: ["Linear"], weights, ...more });
const ct = (weights: Fields, format: string, more: Fields = {}): Fields => ({
  ...{ quant_method: "compressed-tensors", format, config_groups: { group_0: group(weights) }, ...more },
});
const awq = { quant_method: "awq", bits: 4, group_size: 128, zero_point: true, version: "gemm" };
const gptq = { quant_method: "gptq", bits: 4, group_size: 128, desc_act: false, sym: true };
const fp8 = { quant_method: "fp8", fmt: "e4m3", activation_scheme: "dynamic" };
const q = "model.layers.0.self_attn.q_proj";

/** What a scheme says, in short. */
async function schemeOf(config: unknown, module = q): Promise<string> {
  const quantization = (await read(config))!;
  const scheme = quantization.schemeOf(module);
  if (!scheme) return `dense by ${quantization.leftOutBy(module)}`;
  const { format, group: G, scaleRows, tensors, addToZeros, needsZeros, needsGroupOfInput } = scheme;
  const zeros = needsZeros ? ` zeros${addToZeros ? "+1" : ""}` : "";
  const order = needsGroupOfInput ? ` order ${tensors.groupOfInput}` : "";
  return `${format} ${G} x ${scaleRows} ${tensors.codes} ${tensors.scales.join("|")}${zeros}${order}`;
}

const packed = ".weight_packed .weight_scale";
const fp8Scales = ".weight_scale_inv|.weight_scale";

describe("schemes", () => {
  test.each<[name: string, config: Fields, says: string]>([
    ["int4 of groups", ct(int4, "pack-quantized"), `packed4 128 x 1 ${packed}`],
    [
      "with zero points",
      ct({ ...int4, symmetric: false }, "pack-quantized"),
      `packed4 128 x 1 ${packed} zeros`,
    ],
    [
      "reordered by groups",
      ct({ ...int4, actorder: "group" }, "pack-quantized"),
      `packed4 128 x 1 ${packed} order .weight_g_idx`,
    ],
    ["reordered weights", ct({ ...int4, actorder: "weight" }, "pack-quantized"), `packed4 128 x 1 ${packed}`],
    [
      "int8 of channels",
      ct({ num_bits: 8, type: "int", strategy: "channel", group_size: null }, "pack-quantized"),
      `packed8 0 x 1 ${packed}`,
    ],
    [
      "int8 in bytes",
      ct({ num_bits: 8, type: "int", strategy: "channel" }, "int-quantized", {
        quantization_status: "frozen",
      }),
      "int8 0 x 1 .weight .weight_scale",
    ],
    [
      "fp8 of a tensor",
      ct({ num_bits: 8, type: "float", strategy: "tensor" }, "float-quantized"),
      "fp8 0 x 0 .weight .weight_scale",
    ],
    [
      "fp8 of channels, in the old name",
      ct({ num_bits: 8, type: "float", strategy: "channel" }, "naive-quantized"),
      "fp8 0 x 1 .weight .weight_scale",
    ],
    [
      "fp8 in blocks",
      ct({ num_bits: 8, type: "float", strategy: "block", block_structure: [128, 64] }, "float-quantized"),
      "fp8 64 x 128 .weight .weight_scale",
    ],
    [
      "mxfp4",
      ct({ num_bits: 4, type: "float", strategy: "group", group_size: 32 }, "mxfp4-pack-quantized"),
      `mxfp4 32 x 1 ${packed}`,
    ],
    ["AWQ", awq, "awq4 128 x 1 .qweight .scales zeros"],
    ["AWQ of whole rows", { ...awq, group_size: -1, version: "GEMM" }, "awq4 0 x 1 .qweight .scales zeros"],
    ["GPTQ", gptq, "gptq4 128 x 1 .qweight .scales zeros+1"],
    ["GPTQ of 8 bits", { ...gptq, bits: 8 }, "gptq8 128 x 1 .qweight .scales zeros+1"],
    ["GPTQ of version 2", { ...gptq, checkpoint_format: "gptq_v2" }, "gptq4 128 x 1 .qweight .scales zeros"],
    [
      "GPTQ in order of activations",
      { ...gptq, desc_act: true },
      "gptq4 128 x 1 .qweight .scales zeros+1 order .g_idx",
    ],
    [
      "fp8 in blocks of DeepSeek",
      { ...fp8, weight_block_size: [128, 128] },
      `fp8 128 x 128 .weight ${fp8Scales}`,
    ],
    ["fp8 of tensors", { ...fp8, activation_scheme: "static" }, `fp8 0 x 0 .weight ${fp8Scales}`],
    ["FBGEMM", { quant_method: "fbgemm_fp8", activation_scale_ub: 1200 }, "fp8 0 x 1 .weight .weight_scale"],
    ["gpt-oss", { quant_method: "mxfp4" }, "mxfp4 32 x 1 _blocks _scales"],
  ])("%s", async (_name, config, says) => {
    expect(await collectWarnings(async () => expect(await schemeOf(config)).toBe(says))).toEqual([]);
  });

  test("a number of bits of zero points is read where they need not be there", async () => {
    const scheme = (await read(ct(int4, "pack-quantized")))!.schemeOf(q)!;
    expect(scheme.tensors).toMatchObject({
      zeros: ".weight_zero_point",
      unread: expect.arrayContaining([".input_scale"]),
    });
  });
});

describe("which modules", () => {
  const other = { num_bits: 8, type: "float", strategy: "channel" };
  const mixed = {
    ...{
      quant_method: "compressed-tensors",
      format: "mixed-precision",
      ignore: ["lm_head", "re:.*mlp.gate$"],
    },
    config_groups: {
      group_0: group(int4, { format: "pack-quantized" }),
      group_1: group(other, { format: "float-quantized", targets: ["re:.*self_attn.*"] }),
      group_2: group({ ...int4, group_size: 32 }, { format: "pack-quantized", targets: [q] }),
    },
  };
  const dynamic = { "-:.*mlp.*": {}, "+:.*k_proj": { group_size: 32 }, ".*v_proj": { desc_act: true } };
  test.each<[name: string, config: Fields, module: string, says: string]>([
    ["a name wins", mixed, q, "packed4 32"],
    ["a pattern wins over a class", mixed, "model.layers.0.self_attn.k_proj", "fp8 0 x 1"],
    ["a class is for the rest", mixed, "model.layers.0.mlp.up_proj", "packed4 128"],
    ["a name is ignored", mixed, "lm_head", "dense by quantization_config.ignore"],
    ["a pattern is ignored", mixed, "model.layers.3.mlp.gate", "dense by quantization_config.ignore"],
    ["a pattern ends where it says", mixed, "model.layers.3.mlp.gate_proj", "packed4 128"],
    [
      "no group is for it",
      { ...mixed, config_groups: { group_1: mixed.config_groups.group_1 } },
      "model.layers.0.mlp.up_proj",
      "dense by quantization_config.config_groups",
    ],
    [
      "steps of a path",
      { ...awq, modules_to_not_convert: ["gate", "layers.1", "lm_head"] },
      "model.layers.3.mlp.gate",
      "dense by quantization_config.modules_to_not_convert",
    ],
    ["but no part of a step", { ...awq, modules_to_not_convert: ["gate"] }, "a.gate_proj", "awq4 128"],
    [
      "nor of a number",
      { ...fp8, modules_to_not_convert: ["model.layers.1"] },
      "model.layers.10.mlp.x",
      "fp8 0",
    ],
    [
      "a whole layer",
      { ...fp8, ignored_layers: ["model.layers.1"] },
      "model.layers.1.mlp.x",
      "dense by quantization_config.ignored_layers",
    ],
    [
      "a pattern of transformers",
      { quant_method: "mxfp4", modules_to_not_convert: ["model.layers.*.self_attn"] },
      q,
      "dense by quantization_config.modules_to_not_convert",
    ],
    [
      "left out by GPTQModel",
      { ...gptq, dynamic },
      "model.layers.0.mlp.up_proj",
      "dense by quantization_config.dynamic",
    ],
    ["numbers of its own", { ...gptq, dynamic }, "model.layers.0.self_attn.k_proj", "gptq4 32 x 1"],
    [
      "an order of its own",
      { ...gptq, dynamic },
      "model.layers.0.self_attn.v_proj",
      "gptq4 128 x 1 .qweight .scales zeros+1 order .g_idx",
    ],
    ["bits of its own", { ...gptq, dynamic: { ".*q_proj": { bits: 8 } } }, q, "gptq8 128 x 1"],
    ["those of all", { ...gptq, dynamic }, q, "gptq4 128 x 1"],
  ])("%s", async (_name, config, module, says) => {
    expect(await schemeOf(config, module)).toMatch(new RegExp(`^${says.replaceAll(/[.+|]/g, "\\$&")}`));
  });
});

describe("refused", () => {
  const group0 = "config_groups.group_0";
  test.each<[config: unknown, says: string]>([
    ["fp8", 'expected an object, got "fp8"'],
    [{}, "quant_method: expected one of"],
    [
      { quant_method: "bitsandbytes", load_in_4bit: true },
      'quant_method: expected one of "compressed-tensors", "awq"',
    ],
    [{ group_size: 64, bits: 4 }, "quant_method: expected one of"],
    [{ ...awq, bits: 8 }, "bits: expected 4, got 8"],
    [{ ...awq, version: "gemv" }, 'version: expected "gemm", got "gemv"'],
    [{ ...awq, zero_point: false }, "zero_point: expected true, got false"],
    [{ ...awq, group_size: 0 }, "group_size: expected a positive integer, got 0"],
    [{ ...awq, modules_to_not_convert: "lm_head" }, "modules_to_not_convert: expected a list of names"],
    [{ ...awq, modules_to_not_convert: ["(?<=a)"] }, "modules_to_not_convert: expected patterns of names"],
    [{ ...gptq, bits: 3 }, "bits: expected 4 or 8, got 3"],
    [
      { ...gptq, checkpoint_format: "marlin" },
      'checkpoint_format: expected one of "gptq", "gptq_v2", got "marlin"',
    ],
    [{ ...gptq, is_marlin_format: true }, "is_marlin_format: expected nothing or false, got true"],
    [{ ...gptq, pack_dtype: "int16" }, 'pack_dtype: expected nothing or "int32"'],
    [{ ...gptq, dynamic: { "+:x": { bits: 2 } } }, "dynamic.+:x.bits: expected 4 or 8, got 2"],
    [{ ...gptq, dynamic: { "+:x": 1 } }, "dynamic.+:x: expected an object"],
    [{ ...fp8, fmt: "e5m2" }, 'fmt: expected one of "e4m3"'],
    [{ ...fp8, weight_block_size: [128] }, "weight_block_size: expected two positive integers"],
    [{ ...fp8, activation_scheme: "block" }, "activation_scheme: expected one of"],
    [ct(int4, "nvfp4-pack-quantized"), 'format: expected one of "pack-quantized", "int-quantized"'],
    [ct(int4, "dense"), "format: expected one of"],
    [ct(int4, "mixed-precision"), `${group0}.format: expected one of`],
    [
      ct({ ...int4, num_bits: 3 }, "pack-quantized"),
      `${group0}.weights.num_bits: expected 4 or 8 in format "pack-quantized", got 3`,
    ],
    [ct({ ...int4, num_bits: 4 }, "int-quantized"), `${group0}.weights.num_bits: expected 8 in format`],
    [ct({ ...int4, type: "float" }, "pack-quantized"), `${group0}.weights.type: expected one of "int"`],
    [
      ct({ ...int4, strategy: "tensor_group" }, "pack-quantized"),
      `${group0}.weights.strategy: expected one of`,
    ],
    [
      ct({ ...int4, dynamic: true }, "pack-quantized"),
      `${group0}.weights.dynamic: expected nothing or false`,
    ],
    [ct({ ...int4, actorder: "other" }, "pack-quantized"), `${group0}.weights.actorder: expected`],
    [
      ct({ num_bits: 8, type: "int", strategy: "channel", actorder: "group" }, "int-quantized"),
      `${group0}.weights.actorder: expected nothing in format "int-quantized"`,
    ],
    [
      ct({ num_bits: 8, type: "float", strategy: "tensor", symmetric: false }, "float-quantized"),
      `${group0}.weights.symmetric: expected true of floats`,
    ],
    [ct({ num_bits: 8, strategy: "channel" }, "float-quantized"), `${group0}.weights.type: expected`],
    [
      ct({ num_bits: 4, type: "float", group_size: 16 }, "mxfp4-pack-quantized"),
      `${group0}.weights.group_size: expected 32, got 16`,
    ],
    [
      ct(int4, "pack-quantized", { quantization_status: "calibration" }),
      "quantization_status: expected one of",
    ],
    [
      ct(int4, "pack-quantized", { sparsity_config: { format: "sparse-24-bitmask" } }),
      'sparsity_config.format: expected one of "dense"',
    ],
    [
      ct(int4, "pack-quantized", { transform_config: { config_groups: {} } }),
      "transform_config: expected nothing",
    ],
    [ct(int4, "pack-quantized", { ignore: ["re:("] }), "ignore: expected patterns of names"],
    [
      ct(int4, "pack-quantized", { config_groups: { W4A16: ["Linear"] } }),
      "config_groups.W4A16: expected an object",
    ],
    [
      ct(int4, "pack-quantized", {
        config_groups: { a: group(int4, { output_activations: { num_bits: 8 } }) },
      }),
      "config_groups.a.output_activations: expected nothing",
    ],
  ])("%j", async (config, says) => {
    const error: unknown = await read(config).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT_CONFIG", file: "config.json" });
    const { message } = error as Error;
    expect(message).toContain(
      `config.json: quantization_config${typeof config === "string" ? ": " : "."}${says}`,
    );
    expect(message).toMatch(
      /do not run here\. Load another export, or the checkpoint that they were made from/,
    );
  });

  test.each(["quantization", "quant_config"])("%s, which no method here writes", async (field) => {
    await expect(read({ group_size: 64, bits: 4 }, field)).rejects.toThrow(
      `config.json: ${field}.quant_method:`,
    );
  });
});

test("fields that nobody knows are warned about, by name", async () => {
  const config = { ...gptq, brand_new: 1, uuid: "x", other: {}, dynamic: { "+:x": { newer: true } } };
  const warnings = await collectWarnings(async () => void (await read(config)));
  expect(warnings.map(({ message }) => message.replace(/ and ignored.*?: |\. If.*/g, "|"))).toEqual([
    'config.json: not known of quantised weights|"quantization_config.brand_new"|',
    'config.json: not known of quantised weights|"quantization_config.dynamic.+:x.newer"|',
  ]);
});

test("the old field of compressed-tensors needs no method", async () => {
  const { quant_method: _, ...rest } = ct(int4, "pack-quantized");
  expect((await read(rest, "compression_config"))!.schemeOf(q)!.format).toBe("packed4");
});

describe("files beside config.json", () => {
  const plain = new ConfigReader("config.json", {});
  const inFile = async (name: string, json: object): Promise<Quantization | undefined> => {
    await writeFile(path.join(folder, name), JSON.stringify(json));
    try {
      return await readQuantization(plain, folder);
    } finally {
      await rm(path.join(folder, name));
    }
  };

  test("none: the weights are floats", async () => {
    expect(await readQuantization(plain, folder)).toBeUndefined();
  });
  test("that of AutoGPTQ", async () => {
    const quantization = await inFile("quantize_config.json", {
      bits: 4,
      group_size: 64,
      desc_act: false,
      sym: true,
    });
    expect(quantization!.schemeOf(q)).toMatchObject({ format: "gptq4", group: 64, addToZeros: 1 });
  });
  test("that of AutoAWQ", async () => {
    const config = { zero_point: true, q_group_size: 64, w_bit: 4, version: "GEMM" };
    expect((await inFile("quant_config.json", config))!.schemeOf(q)).toMatchObject({
      format: "awq4",
      group: 64,
    });
  });
  test("a wrong field names the file", async () => {
    const error: unknown = await inFile("quantize_config.json", { bits: 2 }).catch(
      (thrown: unknown) => thrown,
    );
    const file = path.join(folder, "quantize_config.json");
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT_CONFIG", file });
    expect((error as Error).message).toContain(`${file}: bits: expected 4 or 8, got 2`);
  });
  test("that of ModelOpt is refused", async () => {
    await expect(inFile("hf_quant_config.json", {})).rejects.toThrow(
      "the weights beside this file are quantised",
    );
  });
});
