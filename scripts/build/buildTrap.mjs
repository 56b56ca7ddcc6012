// `npm run build:trap`: for the first run of new kernels on a Hopper GPU. An addon and the conformance suite of the device
// wrappers in which a barrier that never completes ends its kernel and says which, instead of hanging the GPU
// (native/cuda/stuck_barrier.h): build-trap/. The ops that have such barriers and what their tests need, nothing else.
import { buildAtoms } from "./buildAtoms.mjs";
import { runCmake } from "./build.mjs";

const ops = ["linear", "grouped_linear", "flash_attention", "paged_attention", "pack_linear"];

const status = await runCmake("build-trap", {
  WARPLOOP_CUDA: "ON",
  WARPLOOP_TRAP: "ON",
  WARPLOOP_CUDA_ARCHITECTURES: "90a-real",
  WARPLOOP_KERNELS: ops.join(";"),
});
process.exitCode = status || buildAtoms("build-trap/atoms", ["-DWARPLOOP_TRAP"]);
