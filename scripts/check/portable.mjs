// On which Linux systems an addon runs, read from the file with readelf: for which processor it is, which libraries it loads, and the
// newest version of glibc and of libstdc++ that it asks for.
//
//     npm run check:portable -- [FILE] [--everywhere]     --everywhere: fails if it needs more than the oldest systems have
import { execFileSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { binaries } from "../build/addon.mjs";
import { root } from "../build/nativeSources.mjs";

/** @typedef {{ machine: string, needed: string[], glibc: string | undefined, glibcxx: string | undefined, unknown: string[] }} Needs
 *   machine: in words of readelf; glibc, glibcxx: such as "2.28"; unknown: symbols that neither a versioned library nor Node has */

/** Of glibc, of musl, and of GCC where a system has it. */
const knownLibraries =
  /^(libc|libm|libpthread|libdl|librt|ld-linux-(x86-64|aarch64))\.so\.\d$|^libc\.so$|^lib(stdc\+\+|gcc_s)\.so\.\d$/;

/** What RHEL 8 and Debian 10 have (manylinux_2_28): what is published for glibc has to be content with that. */
const oldest = { glibc: "2.28", glibcxx: "3.4.25" };

/** @param {string} a @param {string} b versions such as "2.28" */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((text) => text.split(".").map(Number));
  for (const i of [0, 1, 2]) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** @param {string} text @param {RegExp} pattern @returns {string | undefined} the newest version */
function newest(text, pattern) {
  return [...text.matchAll(pattern)]
    .map(([, version = ""]) => version)
    .sort(compareVersions)
    .at(-1);
}

/** @param {string} file an addon for Linux @returns {Needs} */
export function readNeeds(file) {
  const text = execFileSync("readelf", ["--wide", "--file-header", "--dynamic", "--dyn-syms", file], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  const symbols = [...text.matchAll(/ (GLOBAL|WEAK) +\w+ +UND (\S+)/g)];
  const isNodes = (/** @type {string} */ name) => /^(napi|node_api)_/.test(name);
  return {
    machine: /Machine: +(.*)/.exec(text)?.[1] ?? "",
    needed: [...text.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name = ""]) => name),
    glibc: newest(text, / UND \S+@GLIBC_([\d.]+)/g),
    glibcxx: newest(text, / UND \S+@GLIBCXX_([\d.]+)/g),
    unknown: symbols
      .filter(([, binding, name = ""]) => binding === "GLOBAL" && !name.includes("@") && !isNodes(name))
      .map(([, , name = ""]) => name),
  };
}

/**
 * @param {Needs} needs
 * @param {{ cpu: string, libc?: string | undefined, everywhere?: boolean | undefined }} systems everywhere: also the oldest
 * @returns {string[]} why an addon does not run on them
 */
export function portabilityProblems(needs, { cpu, libc, everywhere = false }) {
  const { machine, needed, unknown } = needs;
  const wanted = { x64: "Advanced Micro Devices X86-64", arm64: "AArch64" }[cpu];
  const isMusl = libc === "musl";
  const foreign = needed.filter((name) => !knownLibraries.test(name));
  const other = needed.filter((name) => isMusl !== (name === "libc.so") && /^libc\.so/.test(name));
  return [
    ...(machine === wanted ? [] : [`it is for ${machine}, not for ${wanted}`]),
    ...foreign.map((name) => `it loads ${name}`),
    ...other.map((name) => `it loads ${name}, which ${libc} does not have`),
    ...(isMusl ? [] : unknown.map((name) => `nothing that it loads has ${name}`)), // musl's symbols have no versions
    ...(everywhere && compareVersions(needs.glibc ?? "0", oldest.glibc) > 0
      ? [`it needs glibc ${needs.glibc}, newer than ${oldest.glibc}`]
      : []),
    ...(everywhere && compareVersions(needs.glibcxx ?? "0", oldest.glibcxx) > 0
      ? [`it needs libstdc++ with GLIBCXX_${needs.glibcxx}, newer than ${oldest.glibcxx}`]
      : []),
  ];
}

/** @param {Needs} needs @returns {string} in words, of libraries alone */
export function describeNeeds({ glibc, glibcxx, needed }) {
  if (needed.includes("libc.so")) return "musl";
  const libstdcxx = glibcxx === undefined ? [] : [`libstdc++ with GLIBCXX_${glibcxx}`];
  return [`glibc ${glibc} or newer`, ...libstdcxx].join(" and ");
}

function main() {
  const { values, positionals } = parseArgs({
    options: { everywhere: { type: "boolean" } },
    allowPositionals: true,
  });
  const file = path.resolve(root, positionals[0] ?? binaries["cmake-js"]);
  const needs = readNeeds(file);
  const cpu = needs.machine === "AArch64" ? "arm64" : "x64";
  const libc = needs.needed.includes("libc.so") ? "musl" : "glibc";
  console.log(`${path.relative(root, file)}: ${needs.machine}, needs ${describeNeeds(needs)}`);
  console.log(`loads ${needs.needed.join(", ")}`);
  const problems = portabilityProblems(needs, { cpu, libc, everywhere: values.everywhere });
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
