// Contract: tiny-moe as a GGUF file in Q4_K_M writes the text of its golden, token by token: that of its numbers in float64, and of llama.cpp.
// The file is made here, of models/tiny-moe; its hashes say that it is the golden's.
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LLM } from "../../lib/llm/llm.js";
import { dequantised } from "../reference/storedFormats.js";
import { convert } from "../support/gguf/convert.js";
import { encodeGguf, type GgufTensor } from "../support/gguf/format.js";
import { quantized } from "../support/gguf/quantize.js";
import { goldensFolder, type ThinTexts } from "../support/gguf/thinGolden.js";
import { gpt2Vocabulary } from "../support/gguf/tokenizers.js";

const folder = fileURLToPath(new URL("../../models/tiny-moe", import.meta.url));
let root: string;
let golden: ThinTexts;
let tensors: readonly GgufTensor[];
let file: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "warploop-gguf-text-"));
  golden = JSON.parse(
    await readFile(join(goldensFolder, "gguf_text_moe_q4_k_m", "golden.json"), "utf8"),
  ) as ThinTexts;
  const tokenizer = JSON.parse(await readFile(join(folder, "tokenizer.json"), "utf8"));
  const converted = await convert(folder, "f32", {
    ...gpt2Vocabulary(tokenizer, "qwen2", 1024),
    "tokenizer.ggml.eos_token_id": { type: "u32", value: 1023 },
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
  });
  tensors = converted.tensors.map((tensor) => {
    const stored = golden.tensors[tensor.name];
    if (!stored) return tensor;
    const type = stored.type.toLowerCase() as "q4_0" | "q4_k" | "q6_k";
    const [bytes] = [...tensor.data()] as [Uint8Array];
    const codes = quantized(type, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
    return { ...tensor, dtype: type, data: () => [codes] };
  });
  file = join(root, "model.gguf");
  await writeFile(file, encodeGguf(converted.metadata, tensors));
});
afterAll(() => rm(root, { recursive: true }));

test("the file has the golden's values", () => {
  const hashes = tensors
    .filter(({ name }) => golden.tensors[name])
    .map(({ name, shape, dtype, data }) => {
      const K = shape.at(-1)!;
      const N = shape.slice(0, -1).reduce((product, size) => product * size, 1);
      const [codes] = [...data()] as [Uint8Array];
      const values = dequantised({ format: dtype, N, K, group: 0, scaleRows: 1, codes });
      const floats = Float32Array.from(values, (value) => value + 0); // the golden's -0 are 0
      return [name, createHash("sha256").update(new Uint8Array(floats.buffer)).digest("hex")];
    });
  const expected = Object.entries(golden.tensors).map(([name, { hash }]) => [name, hash]);
  expect(Object.fromEntries(hashes)).toEqual(Object.fromEntries(expected));
});

test.each(["f32", "bf16"] as const)("it writes the golden's text in %s", async (dtype) => {
  const llm = await LLM.load(file, { dtype, activations: "float" }); // the golden rounds none
  const { entries } = golden;
  expect(entries.map(({ prompt }) => [...llm.tokenizer!.encode(prompt)])).toEqual(
    entries.map(({ promptIds }) => promptIds),
  );
  const results = await Promise.all(
    entries.map(({ prompt, ids }) =>
      llm.generate(prompt, { maxTokens: ids.length, temperature: 0 }).result(),
    ),
  );
  expect(results.map(({ text }) => text)).toEqual(entries.map(({ text }) => text));
  await llm.close();
});
