// `npm run build:atoms`: the conformance suite of the device wrappers (test/atoms) as a program for a GPU of sm_90a,
// build-cuda/atoms. On the emulated GPU `npm test` builds and runs the same sources.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findNvcc } from "./cuda.mjs";
import { root } from "./nativeSources.mjs";

/**
 * @param {string} program relative to the repository
 * @param {readonly string[]} [options] of nvcc
 * @returns {number} exit status
 */
export function buildAtoms(program, options = []) {
  const nvcc = findNvcc();
  if (!nvcc) {
    console.error("The device wrappers need nvcc on PATH, or CUDA_HOME.");
    return 1;
  }
  mkdirSync(path.dirname(path.join(root, program)), { recursive: true });
  const kernels = readdirSync(path.join(root, "test/atoms"))
    .filter((file) => file.endsWith(".cu"))
    .map((file) => `test/atoms/${file}`);
  const flags = ["-std=c++20", "-O2", "--expt-relaxed-constexpr", "-Inative", "-Itest/atoms"];
  const target = ["-gencode=arch=compute_90a,code=sm_90a"];
  const host = ["test/atoms/runner.cc", "native/cuda/tensor_map.cc", "native/cuda/stuck_barrier.cc"];
  const args = [...flags, ...options, ...target, ...kernels, ...host, "-o", program];
  return spawnSync(nvcc, args, { cwd: root, stdio: "inherit" }).status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = buildAtoms("build-cuda/atoms");
