/**
 * Contract: quantizeCheckpoint writes a checkpoint of compressed-tensors that loads: as fp8 with the bits of a load that quantises, as int8 and
 * int4 as near to the model as their codes; what is written is what the format's own documents say; nothing stays of a run that fails.
 */
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { quantizeCheckpoint } from "../../lib/export/quantizeCheckpoint.js";
import { loadModel, type LoadModelOptions } from "../../lib/llm/loadModel.js";
import { dequantised } from "../reference/storedFormats.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import { encodeSafetensors, type TensorToWrite } from "../support/safetensors.js";
import { toStorage } from "../support/dtype.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
let work: string;
beforeAll(async () => {
  device = openTestDevice();
  stream = device.createStream();
  work = await mkdtemp(path.join(tmpdir(), "warploop-export-"));
});
afterAll(async () => {
  await device.dispose();
  await rm(work, { recursive: true });
});

const config = tinyConfig("Qwen3MoeForCausalLM", {
  ...{
    hidden_size: 128,
    intermediate_size: 192,
    num_experts: 4,
    num_experts_per_tok: 2,
    moe_intermediate_size: 64,
  },
});
const tensors = tinyTensors(config, () => "bf16");
let count = 0;
const newFolder = (): string => path.join(work, `out-${count++}`);

async function logitsOf(
  folder: string,
  options: Omit<LoadModelOptions, "stream"> = {},
): Promise<Float32Array> {
  const model = await loadModel(folder, { stream, dtype: "f32", activations: "float", ...options });
  const [logits] = await runModel(model, stream, [[3, 1, 4, 1, 5, 9, 2, 6]]);
  model.dispose();
  return logits!;
}

/** The same weights in two files. */
async function sharded(): Promise<string> {
  const folder = newFolder();
  await mkdir(folder);
  await writeFile(path.join(folder, "config.json"), JSON.stringify(config));
  const entries = [...tensors].map(([name, { shape, dtype, values }]): [string, TensorToWrite] => [
    name,
    {
      dtype: dtype.toUpperCase(),
      shape,
      data: new Uint8Array(toStorage(dtype, values).buffer as ArrayBuffer),
    },
  ]);
  const weightMap: Record<string, string> = {};
  for (const part of [1, 2]) {
    const own = entries.filter((_, i) => i % 2 === part - 1);
    const name = `model-0000${part}-of-00002.safetensors`;
    await writeFile(path.join(folder, name), encodeSafetensors(Object.fromEntries(own)));
    for (const [tensor] of own) weightMap[tensor] = name;
  }
  await writeFile(
    path.join(folder, "model.safetensors.index.json"),
    JSON.stringify({ weight_map: weightMap }),
  );
  return folder;
}

describe("a checkpoint that is written", () => {
  it("has the bits of a load that quantises, in fp8", async () => {
    const from = await writeCheckpoint(config, tensors);
    const { folder } = await quantizeCheckpoint(from, newFolder(), { format: "fp8" });
    expect(await logitsOf(folder)).toEqual(await logitsOf(from, { quantize: "fp8" }));
  });

  it.each(["int8", "int4"] as const)(
    "is about as near to the model as a load that quantises, in %s",
    async (format) => {
      const from = await writeCheckpoint(config, tensors);
      const { folder } = await quantizeCheckpoint(from, newFolder(), { format });
      const [plain, got, made] = [
        await logitsOf(from),
        await logitsOf(folder),
        await logitsOf(from, { quantize: format }),
      ];
      const errorOf = (logits: Float32Array) => compareLogits(logits, plain, config.vocab_size).relative;
      expect(errorOf(got)).toBeGreaterThan(errorOf(made) / 2);
      expect(errorOf(got)).toBeLessThan(errorOf(made) * 2);
    },
  );

  it("has the numbers that the format's documents read from its bytes", async () => {
    const from = await writeCheckpoint(config, tensors);
    for (const [format, bits] of [
      ["int4", 4],
      ["int8", 8],
    ] as const) {
      const { folder } = await quantizeCheckpoint(from, newFolder(), { format });
      await using checkpoint = await openCheckpoint(folder);
      const read = async (name: string): Promise<Uint8Array> => {
        const entry = checkpoint.tensors.get(name)!;
        const bytes = new Uint8Array(entry.byteLength);
        await checkpoint.read(entry, bytes);
        return bytes;
      };
      const module = "model.layers.1.mlp.experts.2.down_proj";
      const [N, K] = tensors.get(`${module}.weight`)!.shape as [number, number];
      const scales = new Uint16Array((await read(`${module}.weight_scale`)).buffer);
      const values = dequantised({
        ...{
          format: `packed${bits}`,
          N,
          K,
          group: 64,
          scaleRows: 1,
          codes: await read(`${module}.weight_packed`),
        },
        scales: Float64Array.from(
          scales,
          (word) => new Float32Array(Uint32Array.of(word * 65536).buffer)[0]!,
        ),
      });
      const shape = new BigInt64Array((await read(`${module}.weight_shape`)).buffer);
      expect([...shape].map(Number)).toEqual([N, K]);
      const { values: original } = tensors.get(`${module}.weight`)!;
      const squares = (of: ArrayLike<number>) => Array.from(of).reduce((sum, value) => sum + value ** 2, 0);
      const error = Math.sqrt(squares(values.map((value, i) => value - original[i]!)) / squares(original));
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(bits === 4 ? 0.11 : 0.01); // 10.1 % of normal weights in groups of 128 with scales above 0
    }
  });

  it("says in its config what is codes, and what is not", async () => {
    const from = await writeCheckpoint(config, tensors);
    const result = await quantizeCheckpoint(from, newFolder(), { format: "int4" });
    interface Written {
      readonly quantization_config: {
        readonly format: string;
        readonly ignore: readonly string[];
        readonly config_groups: Readonly<
          Record<string, { readonly targets: readonly string[]; readonly weights: object }>
        >;
      };
    }
    const text = await readFile(path.join(result.folder, "config.json"), "utf8");
    const json = JSON.parse(text) as Written;
    expect(json).toMatchObject({ ...config, quantization_config: { quant_method: "compressed-tensors" } });
    const { config_groups: groups, ignore, format } = json.quantization_config;
    expect(format).toBe("pack-quantized");
    expect([...ignore].sort()).toEqual(["lm_head", "model.layers.0.mlp.gate", "model.layers.1.mlp.gate"]);
    expect(groups["group_0"]).toMatchObject({
      targets: ["Linear"],
      weights: { num_bits: 4, type: "int", symmetric: true, strategy: "group", group_size: 128 },
    });
    expect(groups["group_1"]!.weights).toMatchObject({ group_size: 64 });
    expect(groups["group_1"]!.targets).toContain("model.layers.0.mlp.experts.3.down_proj");
    expect(result.bytesWritten).toBeLessThan(0.45 * result.bytesRead);
    expect(result.matrices).toBe(2 * (4 + 4 * 3));
  });

  it("has as many files as the one before, with other files beside them", async () => {
    const from = await sharded();
    await writeFile(path.join(from, "tokenizer.json"), "{}");
    await writeFile(path.join(from, "pytorch_model.bin"), "old");
    const progress: number[] = [];
    const { folder } = await quantizeCheckpoint(from, newFolder(), {
      format: "int8",
      onProgress: ({ loaded, total }) => progress.push(loaded / total),
    });
    expect(readdirSync(folder).sort()).toEqual([
      ...["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
      ...["model.safetensors.index.json", "tokenizer.json"],
    ]);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    expect(
      compareLogits(await logitsOf(folder), await logitsOf(from), config.vocab_size).relative,
    ).toBeLessThan(0.1);
  });
});

describe("what is refused, with nothing left behind", () => {
  const refuse = async (
    from: string,
    to: string,
    says: string | RegExp,
    options: object = { format: "int4" },
  ) => {
    await expect(quantizeCheckpoint(from, to, options as { format: "int4" })).rejects.toThrow(says);
    expect(existsSync(`${to}.partial`)).toBe(false);
  };

  it("checkpoints that are quantised, or cannot be", async () => {
    const from = await writeCheckpoint(config, tensors);
    const { folder } = await quantizeCheckpoint(from, newFolder(), { format: "int8" });
    await refuse(folder, newFolder(), "the weights are quantised already (compressed-tensors)");
    const narrow = tinyConfig("LlamaForCausalLM", { num_attention_heads: 3, num_key_value_heads: 3 });
    await refuse(
      await writeCheckpoint(narrow, tinyTensors(narrow)),
      newFolder(),
      "no matrix of it can be written as int4",
    );
    await refuse(path.join(work, "nowhere"), newFolder(), /nowhere/);
  });

  it("folders with something in them, and options that there are not", async () => {
    const from = await writeCheckpoint(config, tensors);
    await refuse(from, from, /to: expected a new or an empty folder, got .* with 2 files/);
    await refuse(from, newFolder(), "format: expected one of int8, int4, fp8", {});
    await refuse(from, newFolder(), 'format: expected "int8" or "int4" or "fp8", got "int5"', {
      format: "int5",
    });
    const to = newFolder();
    await mkdir(`${to}.partial`);
    await expect(quantizeCheckpoint(from, to, { format: "int8" })).rejects.toThrow("it is there already");
    expect(existsSync(`${to}.partial`)).toBe(true);
  });

  it("runs that are ended, or meet NaN", async () => {
    const from = await writeCheckpoint(config, tensors);
    const to = newFolder();
    const abort = new AbortController();
    const onProgress = () => abort.abort(new Error("enough"));
    await refuse(from, to, "enough", { format: "int8", signal: abort.signal, onProgress });
    const name = "model.layers.0.self_attn.q_proj.weight";
    const { values, ...rest } = tensors.get(name)!;
    const broken = new Map([
      ...tensors,
      [name, { ...rest, values: values.map((value, i) => (i === 300 ? NaN : value)) }],
    ]);
    const folder = await writeCheckpoint(config, broken);
    await refuse(folder, to, `model.safetensors: tensor ${name}: quantize: x[2, 44] is not finite`);
    expect(existsSync(to)).toBe(false);
  });
});
