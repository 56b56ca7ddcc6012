// What this machine has for CUDA: a driver, GPUs, a toolkit. Looks, and runs nothing but nvcc and nvidia-smi.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { which } from "./toolchain.mjs";

/** Ampere, Hopper, and PTX that newer GPUs translate: an addon for every GPU that warploop runs on. */
const everyArchitecture = "80;90a-real";
const oldestCapability = 80;

/** @param {string} command @param {string[]} args @returns {string} what it prints, "" when it fails */
function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  return status === 0 ? stdout : "";
}

/** @returns {string | undefined} the path of nvcc */
export function findNvcc() {
  const homes = [process.env["CUDA_HOME"], process.env["CUDA_PATH"], "/usr/local/cuda"].filter(Boolean);
  const candidates = homes.map((home) => path.join(String(home), "bin/nvcc"));
  return which("nvcc") ?? candidates.find((file) => which(file));
}

/** @returns {string | undefined} for example "13.0" */
export function nvccVersion() {
  const nvcc = findNvcc();
  return nvcc && /release (\d+\.\d+)/.exec(output(nvcc, ["--version"]))?.[1];
}

/** Whether the NVIDIA driver is installed; the addon itself asks it at run time. */
export function hasDriver() {
  if (process.platform !== "linux") return false;
  const folders = [
    "/usr/lib64",
    "/usr/lib",
    `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
  ];
  if (folders.some((folder) => existsSync(path.join(folder, "libcuda.so.1")))) return true;
  return output("ldconfig", ["-p"]).includes("libcuda.so.1") || Boolean(which("nvidia-smi"));
}

/** @returns {{ name: string, capability: number }[]} capability is 10 * major + minor */
export function listGpus() {
  if (!which("nvidia-smi")) return [];
  const rows = output("nvidia-smi", ["--query-gpu=compute_cap,name", "--format=csv,noheader"])
    .trim()
    .split("\n");
  return rows.flatMap((row) => {
    const [, major, minor, name = ""] = /^(\d+)\.(\d+), *(.*)$/.exec(row.trim()) ?? [];
    return major ? [{ name, capability: 10 * Number(major) + Number(minor) }] : [];
  });
}

/**
 * @typedef {{ architectures: string, reason: string }} CudaPlan what to compile for, and why
 * @typedef {{ problem: string }} NoCuda one sentence that says what is missing
 */

/**
 * What `npm install` builds: CUDA for the GPUs of this machine where driver, GPU and nvcc are there.
 * @returns {CudaPlan | NoCuda}
 */
export function planForThisMachine() {
  if (!hasDriver()) return { problem: "there is no NVIDIA driver here" };
  const gpus = listGpus().filter(({ capability }) => capability >= oldestCapability);
  if (gpus.length === 0)
    return { problem: "the NVIDIA driver shows no GPU of compute capability 8.0 or newer" };
  if (!findNvcc())
    return { problem: "there is a GPU but no nvcc: install the CUDA toolkit 13 or put its nvcc on PATH" };
  const known = output(String(findNvcc()), ["--list-gpu-arch"]);
  const names = [...new Set(gpus.map(({ name }) => name))].join(", ");
  if (gpus.some(({ capability }) => !known.includes(`compute_${capability}\n`))) {
    return {
      architectures: everyArchitecture,
      reason: `for ${names}, through PTX: this nvcc is older than the GPU`,
    };
  }
  const architectures = [
    ...new Set(gpus.map(({ capability }) => `${capability === 90 ? "90a" : capability}-real`)),
  ];
  return { architectures: architectures.join(";"), reason: `for ${names}` };
}

/**
 * What `npm run build:cuda` builds: an addon for every GPU, or for those that CUDAARCHS names, as CMake would read it; needs
 * nvcc only.
 * @returns {CudaPlan | NoCuda}
 */
export function planForEveryGpu() {
  if (!findNvcc())
    return {
      problem: "there is no nvcc: install the CUDA toolkit 13, put its nvcc on PATH or set CUDA_HOME",
    };
  const chosen = process.env["CUDAARCHS"];
  if (chosen) return { architectures: chosen, reason: `for ${chosen}, as CUDAARCHS says` };
  return { architectures: everyArchitecture, reason: "for Ampere, Hopper and, through PTX, newer GPUs" };
}
