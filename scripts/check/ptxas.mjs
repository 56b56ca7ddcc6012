// Compiles every kernel for sm_80 and sm_90a as the CUDA build does and reads what ptxas says of it: no kernel may spill
// registers or keep arrays in local memory, and none may be serialised (remarks C75xx: wgmma waits inserted by ptxas). What
// it says nothing of is looked up in the machine code: the order in the Hopper attention kernel (attentionOrder.mjs).
//
//     npm run check:ptxas -- [op or file ...]                a row for each kernel that breaks a rule, and a summary
//     npm run check:ptxas -- --log build-cuda/build.log      reads what a build from scratch has printed
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { findNvcc } from "../build/cuda.mjs";
import { attentionOrders } from "./attentionOrder.mjs";
import { root } from "../build/nativeSources.mjs";

// Kernels that may use local memory, each with the reason; the name is a part of the demangled one.
/** @type {Record<string, string>} */
const allowed = {
  "HopperShape<__nv_bfloat16, 256, 256, 64, 2>":
    "sums and scores take 176 of 224 registers; counters of the loop over items wait in memory, stored and read once per item",
  "HopperShape<__half, 256, 256, 64, 2>": "the same",
  "HopperShape<__nv_bfloat16, 256, 256, 64, 1>": "the same, of 255 registers",
  "HopperShape<__half, 256, 256, 64, 1>": "the same",
  "WideShape<__nv_bfloat16, 128, 128, 2, 64, 2, false>":
    "for sm_90a alone, where nearly all prompts have another kernel: 16 bytes, in 7 of some 2500 instructions per tile of keys",
  "WideShape<__half, 128, 128, 2, 64, 2, false>": "the same",
  choose_kernel:
    "1024 threads leave 64 registers, and the status of a row takes one too many: up to 56 bytes, stored and read once per row",
  "moe_route_kernel<128>":
    "more than 512 experts, which no known model has: a row of scores per warp leaves the registers",
};

const instances = "native/cuda/attention/instances";
const attentionKernels = readdirSync(path.join(root, instances))
  .filter((file) => file.endsWith(".sm90.cu"))
  .sort()
  .map((file) => `${instances}/${file}`);
const common = ["-std=c++20", "-O3", "--expt-relaxed-constexpr", "-I", "native", "-Xptxas", "-v"];
/** @typedef {{ kernel: string, target: string, registers: number, stack: number, spills: number }} Usage */

const nvcc = findNvcc();
const { values, positionals: wanted } = parseArgs({
  options: { log: { type: "string" } },
  allowPositionals: true,
});

/** @type {string[]} */
const problems = [];
let kernels = 0;
let worst = 0;
if (values.log) {
  examine(values.log, demangle(readFileSync(values.log, "utf8")));
} else if (!nvcc) {
  console.log("ptxas: skipped, there is no nvcc here");
  process.exit(0);
} else {
  for (const file of kernelFiles()) examine(file, compile(file));
}
if (nvcc) for (const file of attentionKernels.filter((name) => isWanted(name))) examineOrder(file);
for (const problem of problems) console.log(problem);
console.log(
  `ptxas: ${kernels} kernels, at most ${worst} registers; ${problems.length} with spills, local memory, C75xx remarks or no overlap`,
);
process.exitCode = problems.length === 0 && kernels > 0 ? 0 : 1;

/** Names are those of a file or of one of the folders that it lies in. @param {string} file */
function isWanted(file) {
  return wanted.length === 0 || file.split(path.sep).some((name) => wanted.includes(name));
}

function kernelFiles() {
  return readdirSync(path.join(root, "native"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".cu") && isWanted(file))
    .sort();
}

/** Notes what ptxas has printed. @param {string} where @param {string} output demangled */
function examine(where, output) {
  problems.push(
    ...output
      .split("\n")
      .filter((line) => /C75\d\d/.test(line))
      .map((line) => `${where}: ${line}`),
  );
  for (const { kernel, target, registers, stack, spills } of usagesIn(output)) {
    kernels += 1;
    worst = Math.max(worst, registers);
    if (stack + spills === 0 || Object.keys(allowed).some((name) => kernel.includes(name))) continue;
    problems.push(
      `${where}: ${kernel} (${target}): ${registers} registers, stack ${stack} bytes, spills ${spills} bytes`,
    );
  }
}

/** Compiles shapes of the Hopper attention kernel into a scratch folder and notes where the order of its machine code is lost. @param {string} file */
function examineOrder(file) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "warploop-ptxas-"));
  const cubin = path.join(scratch, "attention.cubin");
  const flags = ["-arch=sm_90a", "-cubin", file, "-o", cubin];
  const { status, stderr } = spawnSync(String(nvcc), [...common, ...flags], { cwd: root, encoding: "utf8" });
  const orders = status === 0 ? attentionOrders(readFileSync(cubin)) : [];
  rmSync(scratch, { recursive: true, force: true });
  if (orders.length === 0) problems.push(`${file}: no kernel to look at\n${stderr}`);
  for (const { shape, sequence, problem } of orders) {
    console.log(`${path.basename(file)}, ${shape}: ${sequence}`);
    if (problem) problems.push(`${file}: ${shape}: the softmax overlaps nothing: ${problem}`);
  }
}

/** What the compiler says, demangled. @param {string} file relative to native/ */
function compile(file) {
  const targets = file.endsWith(".sm90.cu") ? ["90a"] : ["80", "90a"];
  const code = targets.flatMap((t) => ["-gencode", `arch=compute_${t},code=sm_${t}`]);
  const source = path.join("native", file);
  const object = path.join(os.tmpdir(), `warploop-ptxas-${process.pid}.o`);
  const { status, stdout, stderr } = spawnSync(
    String(nvcc),
    [...common, ...code, "-c", source, "-o", object],
    {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    },
  );
  rmSync(object, { force: true });
  if (status !== 0) problems.push(`${file}: does not compile\n${stderr}`);
  return demangle(stdout + stderr);
}

/** @param {string} text */
function demangle(text) {
  const { stdout, error } = spawnSync("c++filt", [], { input: text, encoding: "utf8", maxBuffer: 1 << 28 });
  return error ? text : stdout;
}

/** @param {string} output @returns {Usage[]} */
function usagesIn(output) {
  const pattern =
    /Compiling entry function '([^\n]*)' for '(sm_\w+)'[^]*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads[^]*?Used (\d+) registers/g;
  return [...output.matchAll(pattern)].map(
    ([, kernel = "", target = "", stack, stores, loads, registers]) => ({
      kernel,
      target,
      registers: Number(registers),
      stack: Number(stack),
      spills: Number(stores) + Number(loads),
    }),
  );
}
