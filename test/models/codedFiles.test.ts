// Contract: what does not fit in a checkpoint of codes is named before a weight is loaded, and codes that are no number while they are.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { codedCheckpoint, type CodedLayout, codedLayouts, writeFiles } from "../support/codedCheckpoint.js";
import { openTestDevice } from "../support/devices.js";
import { toStorage } from "../support/dtype.js";
import { Random } from "../support/random.js";
import type { TensorToWrite } from "../support/safetensors.js";
import { firstSeed } from "../support/seed.js";
import { tinyConfig, tinyTensors } from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

const sizes = { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 1 };
const llama = tinyConfig("LlamaForCausalLM", sizes);
const mixture = tinyConfig("Qwen3MoeForCausalLM", {
  ...{ ...sizes, num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 32 },
});
const layoutOf = (name: string): CodedLayout => codedLayouts.find((layout) => layout.name === name)!;

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
    const config = mixture;
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
