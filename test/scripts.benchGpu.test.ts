// Contract: a bench says how it is used, and refuses what it does not know before it opens a device.
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

function bench(name: string, ...words: readonly string[]) {
  const parameters = ["--import", "tsx", `bench/${name}.ts`, ...words];
  return spawnSync(process.execPath, parameters, { encoding: "utf8" });
}

it("bench:gpu --only of a name that there is not", () => {
  const { status, stdout, stderr } = bench("gpu", "--device", "cpu", "--only", "nonsense");
  expect(stderr).toMatch(/--only nonsense: there are flashAttention, .*attentionMerge, .*, decode step/);
  expect(stdout).toBe("");
  expect(status).toBe(1);
});

it("bench:weight-formats --only of a name that there is not", () => {
  const { status, stdout, stderr } = bench("weightFormats", "--only", "q4_0,nonsense");
  expect(stderr).toMatch(/--only nonsense: there are bf16, f16, f32, int8, .*, q4_0, .*, fp8/);
  expect(stdout).toBe("");
  expect(status).toBe(1);
});

it("--help prints the head of the bench", () => {
  const { status, stdout, stderr } = bench("layers", "--help");
  expect(stdout).toMatch(/^What a decode step consists of.*\n\n {4}npm run bench:layers -- \[--device/s);
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

it.each([
  ["layers", /npm run bench:layers -- /],
  ["latentForms", /npm run bench:latent-forms/],
  ["goldens", /npm run goldens/],
  ["overhead", /bench\/overhead.ts/],
  ["ops", /bench\/ops.ts/],
  ["weightFormats", /npm run bench:weight-formats -- /],
] as const)("%s: an option that there is not is named, with how the bench is used", (name, usage) => {
  const { status, stdout, stderr } = bench(name, "--nonsense", "1");
  expect(stderr).toMatch(/^Unknown option '--nonsense'/);
  expect(stderr).toMatch(usage);
  expect(stderr).not.toMatch(/\n {4}at /);
  expect(stdout).toBe("");
  expect(status).toBe(2);
});
