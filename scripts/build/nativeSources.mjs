// What the addon is compiled from: native/sources.json plus the ops of native/ops/list.h. CMakeLists.txt reads the same
// two files by itself; binding.gyp asks this script: `node scripts/build/nativeSources.mjs <question>` prints one answer a line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @typedef {{ readonly name: string, readonly type: string, readonly js: string }} Op
 *   rms_norm (C++ and folder), RmsNorm (types), rmsNorm (JavaScript)
 * @typedef {{
 *   defines: string[], flags: string[], isas: Record<string, { name: string, flags: string[] }[]>,
 *   core: string[], cpu: string[], cpuIsa: string[], bind: string[],
 *   cuda: string[], simt: string[], simtRace: string[],
 * }} Sources
 */

/** @returns {Sources} native/sources.json */
export function readSources() {
  return JSON.parse(readFileSync(path.join(root, "native/sources.json"), "utf8"));
}

/** @returns {Op[]} the rows of native/ops/list.h, in order */
export function readOps() {
  const text = readFileSync(path.join(root, "native/ops/list.h"), "utf8");
  const rows = text.matchAll(/^ *WARPLOOP_OP\(([a-z0-9_]+), *([A-Za-z0-9]+), *([A-Za-z0-9]+)\)/gm);
  return [...rows].map(([, name = "", type = "", js = ""]) => ({ name, type, js }));
}

/** Files compiled once, relative to native/. */
export function commonSources() {
  const { core, cpu, bind } = readSources();
  const ops = readOps().map(({ name }) => `ops/${name}/${name}.check.cc`);
  return [...core, ...cpu, ...bind, ...ops];
}

/** Files compiled once per instruction set, relative to native/. */
export function isaSources() {
  return [...readSources().cpuIsa, ...readOps().map(({ name }) => `ops/${name}/${name}.cpu.cc`)];
}

/** Files of the CUDA device and of the emulated GPU, relative to native/; the kernels are found by their folders. */
export function gpuSources() {
  const { cuda, simt, simtRace } = readSources();
  return [...cuda, ...simt, ...simtRace];
}

/** The instruction sets compiled for this processor architecture, from narrow to wide; none: it is not supported. */
export function isaNames(arch = process.arch) {
  return (readSources().isas[arch] ?? []).map(({ name }) => name);
}

/** @param {string} isa @returns {string[]} what the compiler is given for the kernels of an instruction set */
export function flagsOf(isa) {
  const found = Object.values(readSources().isas)
    .flat()
    .find(({ name }) => name === isa);
  if (!found) throw new Error(`nativeSources: unknown instruction set "${isa}"`);
  return found.flags;
}

/** @param {string} question */
function answer(question) {
  const require = createRequire(import.meta.url);
  const { defines, flags } = readSources();
  const [topic = "", isa = ""] = question.split(":");
  if (topic === "common") return commonSources();
  if (topic === "isa") return isaSources();
  if (topic === "flags") return isa ? flagsOf(isa) : flags;
  if (topic === "defines") return defines;
  if (topic === "headers") {
    const folders = [require("node-api-headers").include_dir, require("node-addon-api").include_dir];
    return folders.map((folder) =>
      path.relative(path.join(root, "native"), path.resolve(folder.replaceAll('"', ""))),
    );
  }
  throw new Error(`nativeSources: unknown question "${question}"`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(answer(process.argv[2] ?? "").join("\n"));
