/**
 * Contract: a profiler that is attached sees a range with the name of each op around what it issues, in the NVTX domain
 * "warploop". On the emulated GPU, with a profiler of our own; on others nothing is issued to a GPU.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { native } from "../../lib/device/native.js";

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const headersFile = fileURLToPath(new URL("../../build-simt/cuda_headers.txt", import.meta.url));
const headers = existsSync(headersFile) ? readFileSync(headersFile, "utf8").trim() : undefined;
const hasNvtx = headers !== undefined && existsSync(join(headers, "nvtx3/nvToolsExt.h"));
const isSimt = native.runLastBlocks !== undefined;

test.skipIf(!isSimt || !hasNvtx)("a profiler sees each op", { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "warploop-"));
  try {
    const library = join(folder, "nvtx.so");
    const log = join(folder, "ranges.txt");
    const flags = ["-shared", "-fPIC", "-isystem", headers!, "-o", library, fixture("nvtx.c"), "-ldl"];
    expect(spawnSync("cc", flags, { encoding: "utf8" }).stderr).toBe("");
    const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", fixture("rangedOps.ts")], {
      encoding: "utf8",
      timeout: 100_000,
      env: { ...process.env, NVTX_INJECTION64_PATH: library, NVTX_TEST_FILE: log },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    // The first replay runs the op and captures it; the second one is a launch of the graph.
    const ops = ["softmax", "add", "add", "add"];
    expect(
      readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.trim()),
    ).toEqual(ops.flatMap((op) => [`begin ${op}`, "end"]));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
