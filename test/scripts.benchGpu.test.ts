// Contract: bench:gpu refuses an --only that no row has, with the names that there are, before it opens a device.
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

it("bench:gpu --only of a name that there is not", () => {
  const parameters = ["--import", "tsx", "bench/gpu.ts", "--device", "cpu", "--only", "nonsense"];
  const { status, stdout, stderr } = spawnSync(process.execPath, parameters, { encoding: "utf8" });
  expect(stderr).toMatch(/--only nonsense: there are flashAttention, .*attentionMerge, .*, decode step/);
  expect(stdout).toBe("");
  expect(status).toBe(1);
});
