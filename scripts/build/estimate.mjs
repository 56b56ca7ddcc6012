// How long a build will take: from the number of files, of GPU architectures and of compilers at a time.
import { readdirSync } from "node:fs";
import path from "node:path";
import { commonSources, isaNames, isaSources, readSources, root } from "./nativeSources.mjs";

// Seconds of one core, a quarter above what g++ 12 and nvcc 13.0 took on a cloud machine in 2026: 0.6 s for a file on average with unity
// builds and precompiled headers, 4 s for a kernel file and an architecture.
const secondsPerFile = 0.8;
const secondsPerKernelFile = 5;

/**
 * @param {{ tool: import("./toolchain.mjs").BuildTool, architectures?: string | undefined, jobs: number }} build architectures: of CMakeLists.txt; without them: no CUDA
 * @returns {string} for example "about 4 minutes on 2 cores, more where they are busy"
 */
export function estimate({ tool, architectures, jobs }) {
  const files = commonSources().length + isaSources().length * isaNames().length;
  const cpu = files * secondsPerFile * (tool === "node-gyp" ? 2 : 1); // it has neither unity builds nor precompiled headers
  const seconds = (cpu + (architectures === undefined ? 0 : cudaSeconds(architectures))) / jobs;
  const minutes = Math.ceil(seconds / 60);
  const length = minutes === 1 ? "a minute" : `${minutes} minutes`;
  return `about ${length} on ${jobs === 1 ? "one core" : `${jobs} cores`}, more where they are busy`;
}

/** @param {string} architectures */
function cudaSeconds(architectures) {
  const files = readdirSync(path.join(root, "native"), { recursive: true, encoding: "utf8" });
  const kernels = files.filter((file) => file.endsWith(".cu")).length;
  return (
    kernels * architectures.split(";").length * secondsPerKernelFile + readSources().cuda.length * secondsPerFile
  );
}
