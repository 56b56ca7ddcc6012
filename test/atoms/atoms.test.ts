/**
 * Contract: every wrapper of native/cuda/device does on the emulated GPU what its comment and NVIDIA's documents say, and
 * what a GPU computed where that was recorded (goldens/).
 *
 * The same sources on a GPU, from the root of the repository (Hopper; older GPUs: -arch=sm_80, without the *.sm90.cu):
 *
 *     nvcc -std=c++20 -O2 --expt-relaxed-constexpr -Inative -Itest/atoms -gencode=arch=compute_90a,code=sm_90a \
 *       test/atoms/*.cu test/atoms/runner.cc native/cuda/tensor_map.cc -o build/atoms
 *     build/atoms --write-goldens test/atoms/goldens/sm90.txt
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = process.env["WARPLOOP_BINARY"];
const folder = path.resolve(
  root,
  binary?.includes("build-simt") ? path.join(path.dirname(binary), "..") : "build-simt",
);
const goldens = path.join(root, "test/atoms/goldens/sm90.txt");
const isConfigured = existsSync(path.join(folder, "CMakeCache.txt"));
const minutes = 60_000;

/** @returns what the command prints; throws with it when the command fails */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve(text);
      else reject(new Error(`${command}: exit status ${status}\n${text.slice(-8000)}`));
    });
  });
}

if (!isConfigured) {
  test.skip("atoms: `npm run build:simt` has not configured build-simt/ (it needs the headers of the CUDA toolkit)", () => {});
} else {
  describe("atoms", () => {
    beforeAll(() => run("cmake", ["--build", folder, "--target", "atoms"]), 15 * minutes);

    test.each([1, 2, 3])(
      "seed %i",
      async (seed) => {
        const args = existsSync(goldens) ? ["--goldens", goldens] : [];
        const text = await run(path.join(folder, "atoms"), args, { WARPLOOP_SIMT_SEED: String(seed) });
        expect(text).toMatch(/^[1-9][0-9]* passed, 0 failed$/m);
      },
      2 * minutes,
    );

    test("a barrier that never completes is named: kernel, block, place, parity, barrier", async () => {
      const text = await run(path.join(folder, "atoms"), ["--stuck"]);
      expect(text).toMatch(/stuck_barrier_kernel.*deadlock/);
      const who = String.raw`block \(1, 0, 0\), threads 32-63: wait in mbarrier_wait at \S*stuck\.sm90\.cu:\d+:\d+`;
      const what =
        "for parity 0 of the barrier at shared offset 256, which lacks 1 of 2 arrivals and 0 bytes";
      expect(text).toMatch(new RegExp(`${who} ${what}`));
    });
  });
}
