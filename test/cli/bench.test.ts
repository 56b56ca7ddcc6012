// Contract: `bench` has the speeds of a model by the number of sequences, beside what the machine does in the same run.
import { expect, it } from "vitest";
import { spreadOf } from "../../cli/benchRun.js";
import { ranHere, tiny } from "./support.js";

it("measures prompts and new tokens for each number of sequences, and the machine", async () => {
  const options = ["--prompt", "32", "--tokens", "4", "--batch", "1,3", "--repeat", "2", "--device", "cpu"];
  const { status, stdout } = await ranHere("bench", tiny, ...options, "--json");
  expect(status).toBe(0);
  const found = JSON.parse(stdout) as {
    readonly weights: { readonly bytes: number; readonly parameters: number };
    readonly limits: Readonly<Record<string, number>>;
    readonly rows: readonly { readonly sequences: number }[];
  };
  expect(found).toMatchObject({ model: tiny, device: "cpu", promptTokens: 32, decodeTokens: 4, repeats: 2 });
  expect(found.rows.map(({ sequences }) => sequences)).toEqual([1, 3]);
  for (const row of found.rows) {
    for (const name of ["prompt", "decode"]) {
      expect(row).toHaveProperty(`${name}.median`, expect.any(Number));
    }
  }
  // A quarter of the experts, and the head, which is the embedding.
  expect(found.weights.parameters).toBeGreaterThan(2e6);
  expect(found.weights.parameters).toBeLessThan(3e6);
  // No machine that runs this reads less than 100 MB/s, nor more than 100 TB/s.
  expect(found.limits["bytesPerSecond"]).toBeGreaterThan(1e8);
  expect(found.limits["bytesPerSecond"]).toBeLessThan(1e14);
  expect(found.limits["flopsPerSecond"]).toBeGreaterThan(1e8);
}, 240_000);

it("refuses numbers that measure nothing", async () => {
  for (const [flag, value] of [
    ["--batch", "1,0"],
    ["--tokens", "0"],
  ] as const)
    expect(await ranHere("bench", tiny, flag, value)).toMatchObject({
      ...{ status: 2, stderr: expect.stringContaining(`${flag}: expected at least 1, got 0`) as string },
    });
});

it("has the middle of several runs", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
  expect(spreadOf([4, 1])).toEqual({ median: 2.5, least: 1, most: 4 });
});
