/**
 * Contract: a load that quantises computes what the same model computes whose matrices have been quantised beforehand, matrix by matrix as its
 * rule says: products become codes, heads bytes; embeddings, routers, norms and matrices whose rows no group divides stay.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { Device } from "../../lib/device/device.js";
import { type FloatDType, hostArray, toFloat32 } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel, type LoadModelOptions } from "../../lib/llm/loadModel.js";
import { quantize as reference, type QuantizeShape } from "../reference/quantize.js";
import { openTestDevice } from "../support/devices.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { allowedDifference, compareLogits } from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import {
  type TinyConfig,
  tinyConfig,
  type TinyTensors,
  tinyTensors,
  writeCheckpoint,
} from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

type Option = "int8" | "int4" | "fp8";

/** A model, and what becomes of its matrices. */
interface Family {
  readonly name: string;
  model(): Promise<{ readonly config: TinyConfig; readonly tensors: TinyTensors }>;
  /** Of a matrix that stays; beside those of all models. */
  readonly stays?: RegExp;
  /** Stored [K, N]. */
  readonly transposed?: RegExp;
  readonly head?: RegExp;
}

const tiny = (architecture: string, fields: object = {}): Family["model"] => {
  const config = tinyConfig(architecture, { hidden_size: 128, intermediate_size: 192, ...fields });
  return () => Promise.resolve({ config, tensors: tinyTensors(config) });
};
const golden =
  (name: string): Family["model"] =>
  async () => {
    const folder = goldenFolder(name);
    const config = JSON.parse(await readFile(`${folder}/config.json`, "utf8")) as TinyConfig;
    await using checkpoint = await openCheckpoint(folder);
    const tensors: TinyTensors = new Map();
    for (const entry of checkpoint.tensors.values()) {
      const bytes = new Uint8Array(entry.byteLength);
      await checkpoint.read(entry, bytes);
      const dtype = entry.dtype as FloatDType;
      const values = Float64Array.from(toFloat32(dtype, hostArray(dtype, bytes.buffer)));
      tensors.set(entry.name, { shape: entry.shape, dtype, values });
    }
    return { config, tensors };
  };
const moe = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 64 };
const families: readonly Family[] = [
  { name: "llama", model: tiny("LlamaForCausalLM") },
  {
    name: "rows that no group divides",
    ...{ model: tiny("LlamaForCausalLM", { intermediate_size: 72 }) },
  },
  {
    name: "a tied head",
    ...{ model: tiny("Qwen3ForCausalLM", { tie_word_embeddings: true }), head: /embed_tokens/ },
  },
  { name: "experts", model: tiny("Qwen3MoeForCausalLM", moe) },
  { name: "GPT-2", model: golden("gpt2"), head: /wte/, transposed: /c_(attn|proj|fc)\.weight/ },
  { name: "Mamba-2", model: golden("mamba2"), head: /embeddings/ },
  { name: "DeepSeek V2", model: golden("deepseek_v2"), stays: /kv_b_proj/ },
];
/** Whatever the model is. */
const alwaysStays = /embed|norm|\.gate\.weight|bias|wte|wpe|ln_|conv1d|A_log|\.D$/;

function codesOf(
  name: string,
  K: number,
  family: Family,
  option: Option,
): { as: Option; group: number } | undefined {
  const isHead = (family.head ?? /lm_head/).test(name);
  if (family.stays?.test(name) || (!isHead && alwaysStays.test(name))) return undefined;
  if (isHead && option === "fp8") return undefined;
  const as = isHead ? "int8" : option;
  const group = as === "fp8" ? 0 : [128, 64, 32].find((size) => K % size === 0);
  return group === undefined ? undefined : { as, group };
}

/** The numbers of the codes of a matrix [N, K]. */
function numbersOf(values: Float64Array, N: number, K: number, { as, group }: { as: Option; group: number }) {
  const format = ({ int8: "int8", int4: "packed4", fp8: "fp8" } as const)[as];
  const shape: QuantizeShape = { format, N, K, group, scale: "bf16", positive: false };
  const { scales, codes } = reference(values, shape);
  const each = group || K;
  return codes.map((code, i) => {
    const [row, k] = [Math.floor(i / K), i % K];
    return code * scales[row * Math.ceil(K / each) + Math.floor(k / each)]!;
  });
}

const turned = (values: Float64Array, rows: number, columns: number): Float64Array =>
  values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);

/** Matrices of floats that have the numbers of the codes. */
function quantised(tensors: TinyTensors, family: Family, option: Option): TinyTensors {
  const entries = [...tensors].map(([name, tensor]) => {
    if (tensor.shape.length !== 2) return [name, tensor] as const;
    const isTransposed = family.transposed?.test(name) ?? false;
    const [N, K] = (isTransposed ? [...tensor.shape].reverse() : tensor.shape) as [number, number];
    const codes = codesOf(name, K, family, option);
    if (!codes) return [name, tensor] as const;
    const rows = isTransposed ? turned(tensor.values, K, N) : tensor.values;
    const numbers = numbersOf(rows, N, K, codes);
    const values = isTransposed ? turned(numbers, N, K) : numbers;
    return [name, { ...tensor, dtype: "f32" as const, values }] as const;
  });
  return new Map(entries);
}

async function logitsOf(folder: string, options: Omit<LoadModelOptions, "stream">): Promise<Float32Array> {
  const model = await loadModel(folder, { stream, dtype: "f32", ...options });
  const [logits] = await runModel(model, stream, [[3, 1, 4, 1, 5, 9, 2, 6]]);
  model.dispose();
  return logits!;
}

const ways = families.flatMap((family) =>
  (["int8", "int4", "fp8"] as const).map((option) => ({ family, option, name: family.name })),
);

describe("a load that quantises", () => {
  it.each(ways)("$name to $option", { timeout: 120_000 }, async ({ family, option }) => {
    const { config, tensors } = await family.model();
    const folder = await writeCheckpoint(config, tensors);
    const before = await writeCheckpoint(config, quantised(tensors, family, option));
    const got = await logitsOf(folder, { quantize: option, activations: "float" });
    const [expected, plain] = [await logitsOf(before, {}), await logitsOf(folder, {})];
    const { relative } = allowedDifference({ bf16: { max: 0, rms: 0 } }, "f32");
    expect(compareLogits(got, expected, config.vocab_size).relative).toBeLessThan(relative);
    expect(compareLogits(got, plain, config.vocab_size).relative).toBeGreaterThan(10 * relative);
  });

  it("says how each matrix is kept", async () => {
    const { config, tensors } = await families[3]!.model();
    const folder = await writeCheckpoint(config, tensors);
    const model = await loadModel(folder, { stream, dtype: "f32", quantize: "int4" });
    const formats = model.shape.weights.map(({ format }) => format);
    expect(formats).toEqual(
      expect.arrayContaining([
        "int4 in groups of 128",
        "int4 in groups of 64",
        "int8 in groups of 128",
        "f32",
      ]),
    );
    model.dispose();
  });

  it("makes bytes of activations, unless floats are asked for", async () => {
    if (!device.takesInt8) return;
    const { config, tensors } = await families[0]!.model();
    const folder = await writeCheckpoint(config, tensors);
    const [auto, bytes, floats] = [
      await logitsOf(folder, { quantize: "int8" }),
      await logitsOf(folder, { quantize: "int8", activations: "int8" }),
      await logitsOf(folder, { quantize: "int8", activations: "float" }),
    ];
    expect(auto).toEqual(bytes);
    expect(auto).not.toEqual(floats);
  });

  it("names the tensors of a number that no code stands for", async () => {
    const { config, tensors } = await families[0]!.model();
    const name = "model.layers.1.mlp.up_proj.weight";
    const { values, ...rest } = tensors.get(name)!;
    tensors.set(name, { ...rest, values: values.map((value, i) => (i === 7 ? NaN : value)) });
    const folder = await writeCheckpoint(config, tensors);
    const own = device.createStream();
    await expect(loadModel(folder, { stream: own, quantize: "int4" })).rejects.toThrow(
      /model\.safetensors: tensor one from .* quantize: x\[0, 7\] is not finite: no code stands for it/,
    );
  });

  it("refuses a model without a matrix that can have codes", async () => {
    const { config, tensors } = await tiny("LlamaForCausalLM", {
      hidden_size: 24,
      intermediate_size: 20,
      num_attention_heads: 3,
      num_key_value_heads: 3,
    })();
    const folder = await writeCheckpoint(config, tensors);
    await expect(loadModel(folder, { stream, quantize: "int8" })).rejects.toThrow(
      "quantize: no matrix of this model can be int8",
    );
  });
});
