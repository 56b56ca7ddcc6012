// Planted bugs that an op table has to find: the addon of build-simt/ with the sources in which the bug stands compiled
// anew, and the tests of the table on it. Used by run.mjs.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../../scripts/build/nativeSources.mjs";
import { repoFiles } from "../../scripts/check/repoFiles.mjs";
import { simtBuilds } from "../../scripts/build/simtBuilds.mjs";
import { buildFlags, execute, kernelFlags, plant } from "./execute.mjs";

/** @typedef {import("./mutants.mjs").TableMutant} TableMutant */
/** @typedef {import("./execute.mjs").Outcome} Outcome */

const { folder } = simtBuilds.plain;
const cleanAddon = path.join(root, folder, "Release/warploop.node");
const vitest = path.join(
  path.dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
  "vitest.mjs",
);
const runSeconds = 180; // a kernel that never ends has been noticed, too

/**
 * The kernels that a file is compiled into: itself, or all that include it.
 * @param {string} file @returns {string[]}
 */
export function kernelsWith(file) {
  if (file.endsWith(".cu")) return [file];
  const texts = new Map(
    repoFiles(/^native\/(cuda|ops)\/.*\.(cu|cuh|h)$/).map((name) => [
      name,
      readFileSync(path.join(root, name), "utf8"),
    ]),
  );
  const found = new Set([file]);
  for (const at of found) {
    const line = `#include "${at.replace(/^native\//, "")}"`;
    for (const [name, text] of texts) if (text.includes(line)) found.add(name);
  }
  return [...found].filter((name) => name.endsWith(".cu"));
}

/**
 * The addon of build-simt/ with the bug.
 * @param {TableMutant} mutant @param {string} overlay a folder for it @returns {Promise<string>} the addon
 */
export async function buildMutantAddon(mutant, overlay) {
  plant(mutant, overlay);
  const { name, file, kernels = kernelsWith(file) } = mutant;
  let objects = readFileSync(path.join(root, folder, "addon_objects.txt"), "utf8")
    .trim()
    .split("\n");
  for (const kernel of kernels) {
    const object = path.join(overlay, `${path.basename(kernel)}.o`);
    const source = kernel === file ? path.join(overlay, file) : kernel;
    const flags = ["-fPIC", "-fvisibility=hidden", "-ftls-model=initial-exec", ...buildFlags.plain];
    const compiled = await execute("g++", [
      ...flags,
      ...kernelFlags(folder, overlay),
      ...["-x", "c++", "-c", source, "-o", object],
    ]);
    if (compiled.failed) throw new Error(`${name}: ${kernel} does not compile:\n${compiled.text}`);
    const others = objects.filter((at) => !at.endsWith(`/${kernel}.o`));
    if (others.length !== objects.length - 1) throw new Error(`${folder} has no object of ${kernel}`);
    objects = [object, ...others]; // first: of an inline function that others have as well, the linker takes the first
  }
  const addon = path.join(overlay, "warploop.node");
  const linked = await execute("g++", ["-shared", "-s", "-o", addon, ...objects, "-lpthread"]);
  if (linked.failed) throw new Error(`${name} does not link:\n${linked.text}`);
  const loaded = await execute(process.execPath, ["-e", `require(${JSON.stringify(addon)})`]);
  if (loaded.failed) throw new Error(`${name} does not load:\n${loaded.text}`);
  return addon;
}

/**
 * The cases of a table, up to the first that fails.
 * @param {string} table @param {string} cases @param {string} addon @param {string} folder for the report
 * @returns {Promise<Outcome & { passed: string[] }>} passed: full names
 */
export async function runTable(table, cases, addon, folder) {
  mkdirSync(folder, { recursive: true });
  const report = path.join(folder, `${path.basename(table)}.json`);
  const reporters = ["--reporter=dot", "--reporter=json", `--outputFile=${report}`];
  const outcome = await execute(
    process.execPath,
    [vitest, "run", table, "--bail=1", ...reporters, "-t", cases],
    // The bits on record (test/support/bits.ts) would tell of any change: the cases themselves have to find it.
    { WARPLOOP_BINARY: addon, NO_COLOR: "1", WARPLOOP_BITS: folder, WARPLOOP_TEST_WHOLE: "cases" },
    runSeconds,
  );
  return { ...outcome, passed: existsSync(report) ? passedTests(report) : [] }; // none: it has crashed
}

/** @param {string} report */
function passedTests(report) {
  const { testResults } =
    /** @type {{ testResults: { assertionResults: { fullName: string, status: string }[] }[] }} */ (
      JSON.parse(readFileSync(report, "utf8"))
    );
  return testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === "passed")
    .map(({ fullName }) => fullName);
}

/**
 * The kernels as they are: what is asked of one table passes, and each of its mutants asks for something.
 * @param {string} table @param {TableMutant[]} own its mutants @param {string} work
 */
export async function runCleanTable(table, own, work) {
  const all = own.map(({ cases }) => `(${cases})`).join("|");
  const { failed, passed, text } = await runTable(table, all, cleanAddon, path.join(work, "clean"));
  const idle = own.filter(({ cases }) => !passed.some((name) => new RegExp(cases).test(name)));
  return {
    failed: failed || idle.length > 0,
    text: [...idle.map(({ name, cases }) => `${name}: no case is called ${cases}`), text].join("\n"),
  };
}
