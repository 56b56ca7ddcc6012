// Compiles every kernel for sm_80 and sm_90a as the CUDA build does and reads what ptxas says of it: no kernel may spill
// registers or keep arrays in local memory, and none may be serialised (remarks C75xx: wgmma waits inserted by ptxas).
//
//     npm run check:ptxas -- [op ...]        a row for each kernel that breaks a rule, and a summary
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { root } from "./nativeSources.mjs";

// Kernels that may use local memory, each with the reason; the name is a part of the demangled one.
/** @type {Record<string, string>} */
const allowed = {
  "moe_route_kernel<128>": "more than 512 experts, which no known model has: a row of scores per warp leaves the registers",
};

const common = ["-std=c++20", "-O3", "--expt-relaxed-constexpr", "-I", "native", "-Xptxas", "-v"];
const object = path.join(os.tmpdir(), `warploop-ptxas-${process.pid}.o`);

/** @typedef {{ kernel: string, target: string, registers: number, stack: number, spills: number }} Usage */

const wanted = process.argv.slice(2);
const files = readdirSync(path.join(root, "native"), { recursive: true, encoding: "utf8" })
  .filter(
    (file) =>
      file.endsWith(".cu") &&
      (wanted.length === 0 || wanted.includes(path.dirname(file).split(path.sep).at(-1) ?? "")),
  )
  .sort();
const nvcc = spawnSync("nvcc", ["--version"], { encoding: "utf8" });
if (nvcc.error) {
  console.log("ptxas: skipped, there is no nvcc here");
  process.exit(0);
}

/** @type {string[]} */
const problems = [];
let kernels = 0;
let worst = 0;
for (const file of files) {
  const { usages, remarks, error } = compile(file);
  if (error) problems.push(`${file}: does not compile\n${error}`);
  problems.push(...remarks.map((remark) => `${file}: ${remark}`));
  for (const usage of usages) {
    kernels += 1;
    worst = Math.max(worst, usage.registers);
    if (usage.stack + usage.spills === 0 || Object.keys(allowed).some((name) => usage.kernel.includes(name)))
      continue;
    problems.push(
      `${file}: ${usage.kernel} (${usage.target}): ${usage.registers} registers, ` +
        `${usage.stack} bytes of stack, ${usage.spills} bytes of spills`,
    );
  }
}
rmSync(object, { force: true });
for (const problem of problems) console.log(problem);
console.log(
  `ptxas: ${files.length} files, ${kernels} kernels, at most ${worst} registers; ` +
    `${problems.length} with spills, local memory or C75xx remarks`,
);
process.exitCode = problems.length === 0 && kernels > 0 ? 0 : 1;

/** @param {string} file relative to native/ @returns {{ usages: Usage[], remarks: string[], error?: string }} */
function compile(file) {
  const targets = file.endsWith(".sm90.cu") ? ["90a"] : ["80", "90a"];
  const code = targets.flatMap((t) => ["-gencode", `arch=compute_${t},code=sm_${t}`]);
  const source = path.join("native", file);
  const { status, stdout, stderr } = spawnSync("nvcc", [...common, ...code, "-c", source, "-o", object], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const output = demangle(stdout + stderr);
  if (status !== 0 || !existsSync(object)) return { usages: [], remarks: [], error: output };
  return { usages: usagesIn(output), remarks: output.split("\n").filter((line) => /C75\d\d/.test(line)) };
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
