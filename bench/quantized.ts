/**
 * What weights in codes cost and save, on the tiny mixture of models/: size, perplexity of the texts of its golden.json (all positions, teacher
 * forced), share of positions with the same most likely token as bf16, and tokens/s of a prompt and of decode, each form in turns with bf16 in one
 * run (median of the ratios). int8, int4 and fp8 are made by the load (`quantize`); q8_0, q4_k and mxfp4 are GGUF files with plain rules of their
 * formats; activations as a load has them by default.
 *
 *     npm run bench:quantized -- [--rounds 5]
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Device } from "../lib/device/device.js";
import type { Stream } from "../lib/device/stream.js";
import { LLM } from "../lib/llm/llm.js";
import { loadModel } from "../lib/llm/loadModel.js";
import type { QuantizeOption } from "../lib/weights/quantizePlan.js";
import { convert } from "../test/support/gguf/convert.js";
import { encodeGguf, type GgufTensor } from "../test/support/gguf/format.js";
import { quantized } from "../test/support/gguf/quantize.js";
import { runModel } from "../test/support/runModel.js";
import { benchArgs } from "./support/benchArgs.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";

const { rounds } = benchArgs(import.meta.url, { rounds: { type: "string", default: "5" } });
const folder = "models/tiny-moe";
const [promptTokens, decodeTokens] = [256, 64];

interface Form {
  readonly name: string;
  readonly file: string;
  readonly quantize?: QuantizeOption;
}

type Block = Parameters<typeof quantized>[0];

/** Matrices in blocks; rows that fill no block of a format are in the one that llama.cpp takes then. */
async function writeGguf(file: string, block: Block): Promise<string> {
  const { metadata, tensors } = await convert(folder, "f32");
  const inBlocks = tensors.map((tensor): GgufTensor => {
    if (tensor.shape.length < 2 || /ffn_gate_inp/.test(tensor.name)) return tensor;
    const isHead = /token_embd|^output/.test(tensor.name);
    const wanted = isHead ? "q8_0" : block;
    const dtype = wanted === "q4_k" && tensor.shape.at(-1)! % 256 !== 0 ? "q8_0" : wanted;
    const bytes = Buffer.concat([...tensor.data()]);
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    return { ...tensor, dtype, data: () => [quantized(dtype, values)] };
  });
  await writeFile(file, encodeGguf(metadata, inBlocks));
  return file;
}

type Texts = readonly (readonly number[])[];

/** -log of the probability of each next token, and the most likely token at each position. */
function score(logits: Float32Array, tokens: readonly number[]): { nats: number[]; best: number[] } {
  const vocabSize = logits.length / tokens.length;
  const nats: number[] = [];
  const best: number[] = [];
  for (let t = 0; t + 1 < tokens.length; t++) {
    const row = logits.subarray(t * vocabSize, (t + 1) * vocabSize);
    const most = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, value) => total + Math.exp(value - most), 0);
    nats.push(most + Math.log(sum) - row[tokens[t + 1]!]!);
    best.push(row.indexOf(most));
  }
  return { nats, best };
}

async function qualityOf(stream: Stream, { file, quantize }: Form, texts: Texts) {
  const model = await loadModel(file, { stream, ...(quantize && { quantize }) });
  const scores: ReturnType<typeof score>[] = [];
  for (const tokens of texts) {
    const [logits] = await runModel(model, stream, [tokens]);
    scores.push(score(logits!, tokens));
  }
  const nats = scores.flatMap((one) => one.nats);
  const { weightBytes, weights } = model.shape;
  model.dispose();
  const parameters = weights.reduce((sum, weight) => sum + weight.parameters, 0);
  return {
    best: scores.flatMap((one) => one.best),
    perplexity: Math.exp(nats.reduce((sum, value) => sum + value, 0) / nats.length),
    ...{ weightBytes, bits: (8 * weightBytes) / parameters },
  };
}

/** Tokens per second. */
async function speedOf(
  llm: LLM,
  prompt: readonly number[],
): Promise<readonly [prefill: number, decode: number]> {
  const start = performance.now();
  let first = 0;
  for await (const _ of llm.generate(prompt, { maxTokens: decodeTokens, temperature: 0, ignoreEos: true }))
    first ||= performance.now();
  const end = performance.now();
  return [(1000 * prompt.length) / (first - start), (1000 * (decodeTokens - 1)) / (end - first)];
}

const work = await mkdtemp(path.join(tmpdir(), "warploop-quantized-"));
try {
  const forms: readonly Form[] = [
    { name: "bf16", file: folder },
    { name: "int8", file: folder, quantize: "int8" },
    { name: "int4", file: folder, quantize: "int4" },
    { name: "fp8", file: folder, quantize: "fp8" },
    { name: "mxfp4", file: await writeGguf(path.join(work, "mxfp4.gguf"), "mxfp4_gguf") },
    { name: "q8_0", file: await writeGguf(path.join(work, "q8_0.gguf"), "q8_0") },
    { name: "q4_k", file: await writeGguf(path.join(work, "q4_k.gguf"), "q4_k") },
  ];
  const golden = JSON.parse(await readFile(`${folder}/golden.json`, "utf8")) as {
    prompt_ids: number[];
    greedy_ids: number[];
  }[];
  const texts = golden.map(({ prompt_ids, greedy_ids }) => [...prompt_ids, ...greedy_ids]);
  const device = Device.open("cpu");
  const stream = device.createStream();
  const qualities: Awaited<ReturnType<typeof qualityOf>>[] = [];
  for (const form of forms) qualities.push(await qualityOf(stream, form, texts));
  await device.dispose();

  const llms: LLM[] = [];
  for (const { file, quantize } of forms)
    llms.push(
      await LLM.load(file, {
        device: "cpu",
        prefixCache: false,
        maxSequences: 1,
        ...(quantize && { quantize }),
      }),
    );
  const prompt = texts.flat().slice(0, promptTokens);
  const speeds = forms.map((): (readonly [number, number])[] => []);
  for (let round = -1; round < Number(rounds); round++)
    for (const [i, llm] of llms.entries()) {
      const speed = await speedOf(llm, prompt);
      if (round >= 0) speeds[i]!.push(speed);
    }
  for (const llm of llms) await llm.close();

  const exact = qualities[0]!.best;
  const rows = forms.map(({ name }, i) => {
    const { best, perplexity, weightBytes, bits } = qualities[i]!;
    const same = best.filter((token, t) => token === exact[t]).length / exact.length;
    const ratio = (which: 0 | 1) =>
      median(speeds[i]!.map((speed, round) => speed[which] / speeds[0]![round]![which])).toFixed(2);
    const rate = (which: 0 | 1) => median(speeds[i]!.map((speed) => speed[which])).toFixed(0);
    return [
      ...[name, `${(weightBytes / 1e6).toFixed(2)} MB`, bits.toFixed(2), perplexity.toFixed(4)],
      ...[`${(100 * same).toFixed(1)} %`, rate(0), ratio(0), rate(1), ratio(1)],
    ];
  });
  console.log(`${folder}, ${exact.length} positions; prompt ${promptTokens}, decode ${decodeTokens}`);
  printTable(
    ["weights", "size", "bits", "perplexity", "greedy", "prefill/s", "of bf16", "decode/s", "of bf16"],
    rows,
  );
} finally {
  await rm(work, { recursive: true });
}
