// Contract: what travels to a GPU host is added up and has a limit; the script of the first run says at once that there is no GPU.
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { expect, it } from "vitest";
import { sizeTable } from "../scripts/gpu/gpuPackSize.mjs";
import { root } from "../scripts/build/nativeSources.mjs";

const MiB = 2 ** 20;

it("adds up pack and checkout and tells whether they fit", () => {
  const rows = [
    { name: "gpu-pack/addon.tar.xz", bytes: 39.8 * MiB },
    { name: "the files that git tracks", bytes: 22.2 * MiB },
  ];
  const { lines, fits } = sizeTable(rows);
  expect(lines).toEqual([
    "  39.8 MiB  gpu-pack/addon.tar.xz",
    "  22.2 MiB  the files that git tracks",
    "  62.0 MiB  in all, within the limit of 62",
  ]);
  expect(fits).toBe(true);
  const more = sizeTable([...rows, { name: "gpu-pack/run.sh", bytes: 0.1 * MiB }]);
  expect(more.fits).toBe(false);
  expect(more.lines.at(-1)).toMatch(/TOO MUCH/);
});

it("the script of the first run says at once that there is no GPU", () => {
  const env = { PATH: tmpdir() }; // no nvidia-smi
  const run = spawnSync(process.execPath, ["scripts/gpu/gpuTruth.mjs"], { cwd: root, env, encoding: "utf8" });
  expect(run.stderr).toMatch(/^gpu:truth: there is no GPU here/);
  expect(run).toMatchObject({ status: 1, stdout: "" });
});
