// Contract: the files that bench:peer compares formats with hold random weights of the wanted size in the blocks that are asked for, both sides'
// loaders read them, and the table says what the timings say.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileFormats, matrixType, parseFormats } from "../bench/peer/fileFormats.js";
import { baseOf, cpuRows, formatHeading, formatRows, slowerThanBase } from "../bench/peer/formatReport.js";
import { blockInputs, type BlockType, RandomBlocks } from "../bench/peer/randomBlocks.js";
import { writeGguf } from "../bench/peer/randomGguf.js";
import type { GenerationTiming } from "../bench/support/generationTiming.js";
import { LLM } from "../lib/index.js";
import { dequantised } from "./reference/storedFormats.js";
import { tensorTypes } from "./support/gguf/format.js";

const blockTypes = Object.keys(tensorTypes).filter(
  (type): type is BlockType => type !== "q2_k" && tensorTypes[type as BlockType][1] > 1,
);
const bytesOf = (type: BlockType, name: string, std: number, shape: readonly number[]): Buffer =>
  Buffer.concat([...new RandomBlocks(1).chunks({ name, std }, shape, type)]);

describe.each(blockTypes)("random blocks of %s", (type) => {
  const [N, K] = [256, 1024];
  const std = K ** -0.5;
  const codes = bytesOf(type, "blk.0.attn_q.weight", std, [N, K]);

  it("are weights of mean 0 and the deviation that is asked for", () => {
    const common = { N, K, group: 32, scaleRows: 1 };
    const weights = dequantised({ format: type, codes, ...common });
    const mean = weights.reduce((sum, value) => sum + value, 0) / weights.length;
    const deviation = Math.sqrt(weights.reduce((sum, value) => sum + value ** 2, 0) / weights.length);
    expect(weights.length).toBe(N * K);
    expect(Math.abs(mean) / std).toBeLessThan(0.05); // 5 deviations of a mean over 8,192 blocks whose offsets are alike
    // Powers of two come within a factor of sqrt(2).
    const most = type === "mxfp4_gguf" ? 1.42 : 1.03;
    expect(deviation / std).toBeLessThan(most);
    expect(std / deviation).toBeLessThan(most);
  });

  it("differ from row to row and from tensor to tensor, and are the same in every run", () => {
    const rows = 40_000; // more than a vocabulary here has
    const bytes = tensorTypes[type][2];
    const blocks = bytesOf(type, "token_embd.weight", std, [rows, blockInputs(type)]);
    const starts = Array.from({ length: rows }, (_, row) =>
      blocks.toString("latin1", row * bytes, (row + 1) * bytes),
    );
    expect(new Set(starts).size).toBe(rows);
    expect(codes.equals(bytesOf(type, "blk.0.attn_q.weight", std, [N, K]))).toBe(true);
    expect(codes.equals(bytesOf(type, "blk.1.attn_q.weight", std, [N, K]))).toBe(false);
  });
});

describe("types of matrices", () => {
  const typeOf = (name: string, columns: number, format: keyof typeof fileFormats, isTied: boolean) =>
    matrixType({ name, shape: [512, columns], dtype: "f16" }, fileFormats[format], isTied);

  it.each([
    ["blk.0.attn_q.weight", 1024, "q4_0", true, "q4_0"],
    ["token_embd.weight", 1024, "q4_0", true, "q6_k"], // it is the head
    ["token_embd.weight", 1024, "q4_0", false, "q4_0"],
    ["output.weight", 1024, "q4_0", false, "q6_k"],
    ["output.weight", 1024, "q8_0", false, "q8_0"],
    ["output.weight", 1024, "f16", false, "f16"],
    ["blk.0.attn_q.weight", 896, "q4_k", true, "q5_0"], // no whole number of 256
    ["blk.0.attn_q.weight", 896, "q5_k", true, "q5_1"],
    ["token_embd.weight", 896, "q4_k", true, "q8_0"],
  ] as const)("%s with rows of %d in %s, tied %s: %s", (name, columns, format, isTied, type) => {
    expect(typeOf(name, columns, format, isTied)).toBe(type);
  });

  it("what is small stays f32, and rows of odd sizes are refused", () => {
    const norm = { name: "blk.0.attn_norm.weight", shape: [1024], dtype: "f32" } as const;
    expect(matrixType(norm, fileFormats.q4_k, true)).toBe("f32");
    expect(() => typeOf("blk.0.attn_q.weight", 40, "q4_k", true)).toThrow(
      "blk.0.attn_q.weight: there are no rows of 40 in q4_k",
    );
  });

  it("lists of formats name what there is", () => {
    expect(parseFormats("f16,q4_0,int4")).toEqual(["f16", "q4_0", "int4"]);
    expect(() => parseFormats("f16,q2_k")).toThrow(
      /^--format: expected a list of bf16, f16, .*, got "q2_k"$/,
    );
    expect(() => parseFormats("toString")).toThrow(/got "toString"/);
  });
});

describe("files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "warploop-peer-"));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });
  const shape = {
    family: "qwen3",
    ...{ vocabSize: 320, numLayers: 1, hiddenSize: 256, maxPositions: 64 },
    ...{ numHeads: 2, numKvHeads: 1, headDim: 128, mlpWidth: 512 },
  } as const;

  it.each([
    ["bf16", ["bf16"]],
    ["f16", ["f16"]],
    ["q8_0", ["int8 in groups of 32"]],
    ["q6_k", ["int8 in groups of 16"]],
    ["q5_k", ["int8 in groups of 16", "int8 in groups of 32"]],
    ["q5_1", ["int8 in groups of 16", "int8 in groups of 32"]],
    ["q5_0", ["int8 in groups of 16", "int8 in groups of 32"]],
    ["q4_k", ["int4 in groups of 32", "int8 in groups of 16"]],
    ["q4_1", ["int4 in groups of 32", "int8 in groups of 16"]],
    ["q4_0", ["int4 in groups of 32", "int8 in groups of 16"]],
    ["mxfp4", ["fp4 in groups of 32", "int8 in groups of 32"]],
  ] as const)("in %s load and generate, kept as %s", async (format, kept) => {
    const path = join(folder, `${format}.gguf`);
    writeGguf(path, shape, format, 1);
    await using llm = await LLM.load(path, { device: "cpu", maxSequences: 1 });
    const formats = llm.shape.weights.map((each) => each.format).filter((each) => each !== "f32");
    expect(formats.sort()).toEqual(kept);
    const { tokenIds } = await llm.generate([1, 2, 3], { maxTokens: 2, ignoreEos: true }).result();
    expect(tokenIds).toHaveLength(2);
  });
});

describe("the table of formats", () => {
  /** Tokens/s of prompt and decode, and the first token. */
  const timing = (prompt: number, decode: number, token: number, cpuSeconds = 1): GenerationTiming => ({
    prompt: { tokens: prompt, seconds: 1, cpuSeconds },
    decode: { tokens: decode, seconds: 1, cpuSeconds },
    ...{ loopBlockMs: 0, firstTokens: [token] },
  });
  const weights = { parameters: 1000, bytes: 2000 };
  const floats = {
    ...{ format: "bf16", isSameFile: true, weights, fileBytes: 2010, readings: [10, 12] },
    timings: [
      [timing(100, 10, 1), timing(50, 10, 1)],
      [timing(200, 20, 2), timing(50, 10, 2)],
    ],
  } as const;
  const codes = {
    ...{ format: "q4_0", isSameFile: true, weights: { ...weights, bytes: 600 }, fileBytes: 570 },
    readings: [11, 11],
    timings: [
      [timing(90, 30, 1, 2), timing(45, 20, 9)],
      [timing(180, 60, 2, 2), timing(60, 20, 2)],
    ],
  } as const;

  it("has ratios of the same repetition", () => {
    expect(formatRows("1x9+9", [floats, codes])).toEqual([
      [
        ...["1x9+9", "bf16", "2.010", "2.000"],
        ...["150.0", "50.0", "3.00 (2.00-4.00)", "1.00 (1.00-1.00)"],
        ...["15.0", "10.0", "1.50 (1.00-2.00)", "1.00 (1.00-1.00)"],
        ...["2 of 2", "11.0 (10.0-12.0)"],
      ],
      [
        ...["1x9+9", "q4_0", "0.570", "0.600"],
        ...["135.0", "52.5", "2.50 (2.00-3.00)", "0.90 (0.90-0.90)"],
        ...["45.0", "20.0", "2.25 (1.50-3.00)", "3.00 (3.00-3.00)"],
        ...["1 of 2", "11.0 (11.0-11.0)"],
      ],
    ]);
    expect(formatHeading("bf16").map((line) => line.length)).toEqual([14, 14]);
  });

  it("says nothing of first tokens where the weights are others", () => {
    const [row] = formatRows("1x9+9", [{ ...codes, format: "int4", isSameFile: false }]);
    expect(row!.at(-2)).toBe("");
  });

  it("has the same by processor time, and no comparison where there are no floats", () => {
    const cells = ["67.5", "52.5", "1.25 (1.00-1.50)", "", "22.5", "20.0", "1.13 (0.75-1.50)", ""];
    expect(cpuRows("1x9+9", [codes])).toEqual([["1x9+9", "q4_0", ...cells]]);
  });

  it("names what is slower than floats, of which bf16 comes first", () => {
    expect(slowerThanBase([floats, codes])).toEqual(["q4_0 prompt 0.90"]);
    expect(slowerThanBase([codes])).toEqual([]);
    expect(baseOf(["f16", "q4_0", "bf16"])).toBe("bf16");
    expect(baseOf(["q4_0", "f16"])).toBe("f16");
  });
});

it.each([
  [["--format", "q2_k"], /--format: expected a list of bf16, .*, got "q2_k"/],
  [["--format", "q4_0", "--activations", "int4"], /--activations: expected auto or float, got "int4"/],
  [["--activations", "float"], /--activations float: it needs --format/],
] as const)("bench:peer %j is refused", (words, message) => {
  const parameters = ["--import", "tsx", "bench/peer/compare.ts", ...words];
  const { status, stdout, stderr } = spawnSync(process.execPath, parameters, { encoding: "utf8" });
  expect(stderr).toMatch(message);
  expect(stdout).toBe("");
  expect(status).toBe(1);
});
