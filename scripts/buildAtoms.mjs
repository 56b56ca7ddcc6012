// `npm run build:atoms`: the conformance suite of the device wrappers (test/atoms) as a program for a GPU of sm_90a,
// build-cuda/atoms. On the emulated GPU `npm test` builds and runs the same sources.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { findNvcc } from "./cuda.mjs";
import { root } from "./nativeSources.mjs";

const nvcc = findNvcc();
if (!nvcc) {
  console.error("build:atoms needs nvcc on PATH, or CUDA_HOME.");
  process.exit(1);
}
mkdirSync(path.join(root, "build-cuda"), { recursive: true });
const kernels = readdirSync(path.join(root, "test/atoms"))
  .filter((file) => file.endsWith(".cu"))
  .map((file) => `test/atoms/${file}`);
const flags = ["-std=c++20", "-O2", "--expt-relaxed-constexpr", "-Inative", "-Itest/atoms"];
const target = ["-gencode=arch=compute_90a,code=sm_90a"];
const sources = [...kernels, "test/atoms/runner.cc", "native/cuda/tensor_map.cc"];
const { status } = spawnSync(nvcc, [...flags, ...target, ...sources, "-o", "build-cuda/atoms"], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
