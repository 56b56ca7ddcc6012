// Contract: a GGUF file with weights in blocks computes what a file of their values does, type by type and mixed, whatever the layout:
// permuted rows, fused and gated matrices, experts, latents, embeddings with a tied head; trusted files have the values and the logits of
// their goldens. A file of blocks that mean no number, or that lie where none can, is refused by the name of its tensor.
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openGguf } from "../../lib/gguf/file.js";
import { LLM } from "../../lib/llm/llm.js";
import { dequantize, type StoredFormat, StoredRows } from "../../lib/ops/dequantize.js";
import { openTestDevice } from "../support/devices.js";
import {
  type BlockType,
  filesOf,
  latents,
  llama,
  mixture,
  type TinyModel,
  vocabSize,
} from "../support/gguf/blocks.js";
import { goldensFolder, type ThinGguf } from "../support/gguf/thinGolden.js";
import { unpack } from "../support/goldenFolder.js";
import { compareLogits } from "../support/goldens.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "warploop-gguf-blocks-"));
});
afterAll(() => rm(root, { recursive: true }));

async function fileOf(bytes: Uint8Array): Promise<string> {
  const file = join(await mkdtemp(join(root, "file-")), "model.gguf");
  await writeFile(file, bytes);
  return file;
}

describe.each(["gguf_q4_k_m", "gguf_q4_0", "gguf_mxfp4"])("the trusted file %s", (name) => {
  let file: string;
  let golden: ThinGguf;

  beforeAll(async () => {
    const folder = join(goldensFolder, name);
    file = await fileOf(unpack(await readFile(join(folder, "model.gguf.packed"))));
    golden = JSON.parse(await readFile(join(folder, "golden.json"), "utf8")) as ThinGguf;
  });

  test("has the values that its golden has", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const { checkpoint } = await openGguf(file);
    await using _open = checkpoint;
    const hashes: Record<string, string> = {};
    for (const tensor of checkpoint.tensors.values()) {
      const [, format] = /^blocks:(.*)$/.exec(tensor.dtype) ?? [];
      if (format === undefined) continue;
      const codes = new Uint8Array(tensor.byteLength);
      await checkpoint.read(tensor, codes);
      const [inputs, ...outer] = [...tensor.shape].reverse() as [number, ...number[]];
      const outputs = outer.reduce((product, size) => product * size, 1);
      const stored = new StoredRows(
        { format: format as StoredFormat, outputs, inputs },
        { codes: stream.fromArray("u8", [codes.length], codes) },
      );
      const values = (await dequantize(stream, stored).read(stream)) as Float32Array;
      values.forEach((value, i) => (values[i] = value + 0)); // the goldens' -0 are 0
      hashes[tensor.name] = createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
    }
    expect(hashes).toEqual(golden.hashes);
  });

  test("has the logits that its golden has", async () => {
    const llm = await LLM.load(file, { dtype: "f32", activations: "float" });
    for (const { tokens, logits } of golden.sequences) {
      const actual = (await llm.logits(tokens)).slice(-logits.length);
      const { max, relative } = compareLogits(actual, Float32Array.from(logits), llm.shape.vocabSize);
      expect(max).toBeLessThan(1e-3);
      expect(relative).toBeLessThan(1e-4);
    }
    await llm.close();
  });
});

async function logitsOf(file: Uint8Array): Promise<Float32Array> {
  const llm = await LLM.load(await fileOf(file), { dtype: "f32", activations: "float" });
  const logits = await llm.logits([1, 5, 90, 17, 3, 44]);
  await llm.close();
  return logits;
}

async function expectSame(model: TinyModel, typeOf: (name: string) => BlockType): Promise<void> {
  const [inBlocks, inFloats] = filesOf(model, typeOf);
  const [actual, expected] = [await logitsOf(inBlocks!), await logitsOf(inFloats!)];
  const { relative } = compareLogits(actual, expected, vocabSize);
  expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0);
  expect(relative).toBeLessThan(1e-4);
}

const types: readonly BlockType[] = [
  ...(["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "mxfp4_gguf"] as const),
];

describe("the values of blocks", () => {
  test.each(types)("of %s, with permuted rows and a tied head", async (type) => {
    await expectSame(llama, () => type);
  });

  test("of several types in one weight", async () => {
    const mixed: Readonly<Record<string, BlockType>> = {
      ...{ attn_q: "q4_k", attn_k: "q5_0", attn_v: "q6_k", ffn_gate: "q5_k", ffn_up: "q8_0" },
    };
    await expectSame(llama, (name) => mixed[name.split(".")[2] ?? ""] ?? "q4_1");
  });

  test("of experts", async () => {
    await expectSame(mixture, (name) => {
      if (name === "token_embd.weight") return "q6_k";
      if (name === "output.weight") return "q8_0";
      return /gate_exps|down/.test(name) ? "mxfp4_gguf" : "q4_k";
    });
  });

  test("of the heads of latents", async () => {
    await expectSame(latents, (name) =>
      /attn_k_b/.test(name) ? "q5_0" : /attn_v_b/.test(name) ? "q4_k" : "q8_0",
    );
  });
});

describe("is refused", () => {
  test("a scale that is no number, by its tensor", async () => {
    const [file] = filesOf(llama, () => "mxfp4_gguf");
    const { checkpoint } = await openGguf(await fileOf(file!));
    const { byteOffset } = checkpoint.tensors.get("blk.1.ffn_up.weight")!;
    await checkpoint[Symbol.asyncDispose]();
    file![byteOffset] = 255;
    const loading = LLM.load(await fileOf(file!));
    await expect(loading).rejects.toMatchObject({ code: "ERR_CHECKPOINT_FORMAT" });
    await expect(loading).rejects.toThrow(
      /tensor one from token_embd.weight to blk.1.ffn_down.weight: .* is NaN/,
    );
  });

  test("a norm in blocks", async () => {
    const [file] = filesOf(
      {
        ...llama,
        tensors: llama.tensors.map(([name, shape]) => [
          name,
          name === "output_norm.weight" ? [1, 256] : shape,
        ]),
      },
      () => "q8_0",
    );
    await expect(LLM.load(await fileOf(file!))).rejects.toThrow(
      /output_norm.weight \(dtype: expected f32, f16 or bf16, got q8_0/,
    );
  });
});
