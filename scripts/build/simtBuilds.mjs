// The three test builds that run the CUDA sources on an emulated GPU (docs/simt.md), each in a folder of its own: as they
// are, with the race checker, and with AddressSanitizer and UBSan.
import { findNvcc } from "./cuda.mjs";
import { findToolchain } from "./toolchain.mjs";

/** @satisfies {Record<string, { folder: string, options: Record<string, string> }>} options: of CMakeLists.txt */
export const simtBuilds = {
  plain: { folder: "build-simt", options: { WARPLOOP_SIMT: "ON" } },
  race: { folder: "build-simt-race", options: { WARPLOOP_SIMT: "ON", WARPLOOP_SIMT_RACE: "ON" } },
  asan: {
    folder: "build-simt-asan",
    options: { WARPLOOP_SIMT: "ON", WARPLOOP_SANITIZE: "address,undefined" },
  },
};

/** @returns {string | undefined} why none of them can be built here */
export function simtProblem() {
  if (process.platform !== "linux" || process.arch !== "x64") return "the emulator runs on Linux on x86-64";
  if (!findNvcc() && !process.env["CUDA_HOME"] && !process.env["CUDA_PATH"]) {
    return "there is no CUDA toolkit here (its headers are needed: nvcc on PATH, or CUDA_HOME)";
  }
  const toolchain = findToolchain("cmake-js");
  return "problem" in toolchain ? toolchain.problem : undefined;
}
