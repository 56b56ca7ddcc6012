// Contract: a row of the table of sampling parameters is all that its option, its default from generation_config.json and its
// column of the `sample` op need; a list of options that misses one does not compile.
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readOptions } from "../lib/arguments.js";
import { readConfig } from "../lib/checkpoint/config.js";
import { greedySampling, packSampling, type Sampling } from "../lib/engine/sampling.js";
import { resolveGeneration } from "../lib/llm/generateOptions.js";
import { sampleColumns } from "../lib/ops/sample.js";
import {
  samplingNames,
  samplingOff,
  type SamplingParameter,
  samplingParameters,
} from "../lib/samplingParameters.js";
import { Request } from "../lib/schedule/request.js";

const rows = samplingNames.map((name) => ({ name, ...(samplingParameters[name] as SamplingParameter) }));
/** A value in the range that is not `off`, exact in f32. */
const on = ({ min, max, integer, off }: SamplingParameter) =>
  [0.5, 3, 1].find(
    (value) => value >= min && value <= max && value !== off && (!integer || value % 1 === 0),
  )!;

describe("columns of the op", () => {
  const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

  it.each([
    ["SampleFloat", sampleColumns.floats],
    ["SampleInt", sampleColumns.ints],
  ] as const)("are those of %s", async (name, columns) => {
    const header = await readFile("native/ops/sample/sample.h", "utf8");
    const [, list = ""] = new RegExp(`enum class ${name} {([^}]*)}`).exec(header) ?? [];
    expect(list.match(/\w+/g)).toEqual([...columns.map(snake), "count"]);
  });

  const pack = (sampling: Partial<Sampling>, size = 3) => {
    const request = new Request("r", [1, 2, 3], { maxTokens: 1 });
    const sequence = { request, row: 5, start: 0, count: 3, firstToken: 0, numSamples: 1, continues: false };
    return packSampling([{ sequence }], [{ sampling: { ...greedySampling, ...sampling } }], size);
  };
  /** The rows of a batch, by the names of the columns. */
  const unpack = ({ floats, ints }: NonNullable<ReturnType<typeof pack>>) => {
    const [F, I] = [sampleColumns.floats.length, sampleColumns.ints.length];
    return Array.from({ length: floats.length / F }, (_, i) =>
      Object.fromEntries([
        ...sampleColumns.floats.map((name, c) => [name, floats[i * F + c]]),
        ...sampleColumns.ints.map((name, c) => [name, ints[i * I + c]]),
      ]),
    );
  };

  it("has the longest minTokens as a length that it can hold", () => {
    const most = 2 ** 31 - 1;
    for (const minTokens of [most - 3, most - 2, most])
      expect(unpack(pack({ suppressed: [4], minTokens })!)[0]).toMatchObject({ minLength: most });
  });

  it.each(rows)("$name is alone in its own", ({ name, ...parameter }) => {
    const batch = pack({ temperature: 0.5, seed: 2 ** 33 + 7, [name]: on(parameter) })!;
    const poolRow = parameter.penalty ? 5 : -1;
    const own = { seedLow: 7, seedHigh: 2, poolRow, promptLength: 3, minLength: 3 };
    const padding = { ...samplingOff, seedLow: 0, seedHigh: 0, poolRow: -1, promptLength: 0, minLength: 0 };
    expect(unpack(batch)).toEqual([
      { ...samplingOff, temperature: 0.5, [name]: on(parameter), ...own },
      padding,
      padding,
    ]);
    expect(batch.hasPenalties).toBe(parameter.penalty ?? false);
  });

  it("are not needed by a batch that is greedy from logits as they are", () => {
    expect(pack({})).toBeNull();
    for (const { name, penalty, ...parameter } of rows)
      expect(pack({ [name]: on(parameter) }) === null).toBe(!penalty && name !== "temperature");
  });
});

describe("defaults", () => {
  const resolve = async (generation: object, options: object = {}) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "warploop-sampling-"));
    await writeFile(path.join(folder, "config.json"), '{"architectures":["X"],"vocab_size":9}');
    await writeFile(path.join(folder, "generation_config.json"), JSON.stringify(generation));
    const { sampling } = await readConfig(folder);
    const context = { vocabSize: 9, contextLength: 9, eosTokenIds: [], hasTokenizer: false };
    return resolveGeneration(options, { ...context, sampling }).sampling;
  };
  const inFile = rows.filter(({ field }) => field !== undefined);

  it.each(rows)("$name is off where nothing says otherwise", async ({ name, off, whenSampling }) => {
    expect((await resolve({}))[name]).toBe(off);
    expect((await resolve({ do_sample: true }))[name]).toBe(whenSampling ?? off);
  });

  it.each(inFile)("$field gives $name", async ({ name, field, penalty, ...parameter }) => {
    const value = on(parameter);
    const given = { [field!]: value };
    expect((await resolve({ do_sample: true, ...given }))[name]).toBe(value);
    expect((await resolve({ do_sample: false, ...given }))[name]).toBe(penalty ? value : parameter.off);
    expect((await resolve({ do_sample: true, ...given }, { [name]: parameter.off }))[name]).toBe(
      parameter.off,
    );
  });
});

describe("a list of options", () => {
  interface Options {
    readonly one?: number;
    readonly two?: number;
  }
  const given: Options = { one: 1, two: 2 };

  it("has all of them, or does not compile", () => {
    expect(readOptions("call", given, ["two", "one"])).toEqual(given);
    // @ts-expect-error: `two` is missing
    expect(() => readOptions("call", given, ["one"])).toThrow('unknown option "two"');
    // @ts-expect-error: there is no option `three`
    expect(readOptions("call", given, ["one", "two", "three"])).toMatchObject(given);
  });
});
