// `npm run test:mutants [-- NAME...]`: do the emulator and the op tables find what they are there for? Each mutant of
// mutants.mjs is a kernel of ours with a planted bug. Either a small program runs it, in four ways: naive, as an emulator
// without tricks would; adversarial, with several seeds; under the race checker; under AddressSanitizer and UBSan. The modes
// that a mutant lists have to notice it. Or an op table has to notice it, on the addon of build-simt/ (addon.mjs). The clean
// kernels have to pass everywhere. With names, only those mutants, and what was said about them.
//
//   --without-asan   leaves out the slowest mode: no mutant needs it
//   --table          with names: the table alone, and the clean kernels of these mutants, as for all of them
//
// From WARPLOOP_UNTIL on (ms since 1970) nothing new is begun, and what is left is said.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../../scripts/build/nativeSources.mjs";
import { simtBuilds, simtProblem } from "../../scripts/build/simtBuilds.mjs";
import { buildMutantAddon, runCleanTable, runTable } from "./addon.mjs";
import { buildFlags, execute, kernelFlags, plant } from "./execute.mjs";
import { mutants } from "./mutants.mjs";

/** @typedef {import("./mutants.mjs").Mode} Mode */
/** @typedef {keyof typeof simtBuilds} Build */
/** @typedef {import("./execute.mjs").Outcome} Outcome */

const work = path.join(root, "build-mutants");
const { values, positionals: wanted } = parseArgs({
  options: {
    "without-asan": { type: "boolean", default: false },
    table: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const builds = /** @type {Build[]} */ (
  values["without-asan"] ? ["plain", "race"] : ["plain", "race", "asan"]
);
/** A few mutants by name, to see what is said about them. */
const isCloseLook = wanted.length > 0 && !values.table;
const jobs = Math.min(2, os.availableParallelism());
const runSeconds = 60;
const cleanSeeds = 20;

/** @type {Record<Build, string[]>} */
const linkFlags = { plain: [], race: ["-ldl"], asan: ["-fsanitize=address,undefined"] };

const friendly = { WARPLOOP_SIMT_SCHEDULE: "fifo", WARPLOOP_SIMT_ASYNC: "early", WARPLOOP_SIMT_POISON: "0" };
/** @param {number} seed */
const adversarial = (seed) => ({
  WARPLOOP_SIMT_SEED: String(seed),
  WARPLOOP_SIMT_SCHEDULE: seed % 2 ? "random" : "priority",
  WARPLOOP_SIMT_ASYNC: seed % 3 ? "random" : "late",
});
/** @type {Record<Mode, { build: Build, settings: Record<string, string>[] }>} */
const modes = {
  naive: { build: "plain", settings: [friendly] },
  adversarial: { build: "plain", settings: [1, 2, 3, 4, 5].map(adversarial) },
  race: { build: "race", settings: [friendly] },
  asan: { build: "asan", settings: [friendly] },
};
const modeNames = /** @type {Mode[]} */ (Object.keys(modes)).filter((mode) =>
  builds.includes(modes[mode].build),
);

/**
 * Brings what mutants are linked with up to date, in one build folder.
 * @param {Build} build @param {string[]} targets
 */
async function prepare(build, targets) {
  const { folder, options } = simtBuilds[build];
  if (!existsSync(path.join(root, folder, "CMakeCache.txt"))) {
    const cmakeJs = path.join(
      path.dirname(createRequire(import.meta.url).resolve("cmake-js/package.json")),
      "bin/cmake-js",
    );
    const defines = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`);
    const configured = await execute(process.execPath, [cmakeJs, "configure", "-O", folder, ...defines]);
    if (configured.failed) throw new Error(configured.text);
  }
  for (const target of targets) {
    const built = await execute(
      "cmake",
      ["--build", folder, "--target", target, "-j", String(jobs)],
      {},
      1200,
    );
    if (built.failed) throw new Error(built.text);
  }
}

/**
 * Compiles a program to an executable.
 * @param {string} file @param {string} overlay a folder whose files take the place of those of the repository
 * @param {Build} build @param {string} out
 */
async function compile(file, overlay, build, out) {
  const { folder } = simtBuilds[build];
  const flags = [...buildFlags[build], ...kernelFlags(folder, overlay)];
  const compiled = await execute("g++", [...flags, "-x", "c++", "-c", file, "-o", `${out}.o`]);
  if (compiled.failed) throw new Error(`${file} does not compile:\n${compiled.text}`);
  // A step of its own: with -fsanitize=thread the compiler driver would link the sanitizer's own library.
  const base = path.join(folder, "libmutant_base.a");
  const linked = await execute("g++", [`${out}.o`, base, ...linkFlags[build], "-lpthread", "-o", out]);
  if (linked.failed) throw new Error(`${file} does not link:\n${linked.text}`);
}

/** @param {string} program @param {Record<string, string>[]} settings @returns {Promise<Outcome[]>} */
async function runAll(program, settings) {
  const outcomes = [];
  for (const setting of settings) outcomes.push(await execute(program, [], setting, runSeconds));
  return outcomes;
}

const count = { passed: 0, failed: 0 };
/** @param {boolean} ok @param {string} text */
function report(ok, text) {
  count[ok ? "passed" : "failed"] += 1;
  if (!ok) console.log(`FAILED ${text}`);
}

/** Programs and op tables that the kernels as they are have been given to: at a close look none, else each once. */
const given = new Set();

/**
 * The kernel as it is: has to pass in every mode, with many seeds.
 * @param {string} program
 */
async function checkClean(program) {
  if (isCloseLook || given.has(program)) return;
  given.add(program);
  for (const build of builds) {
    const out = path.join(work, `clean.${program}.${build}`); // a dot: no mutant is called so
    await compile(`test/mutants/${program}.cu`, work, build, out);
    const seeds = build === "plain" ? cleanSeeds : 4;
    const settings = [friendly, ...Array.from({ length: seeds }, (_, i) => adversarial(i + 1))];
    const outcomes = await runAll(out, settings);
    const wrong = outcomes.findIndex(({ failed }) => failed);
    const setting = Object.entries(settings[wrong] ?? {}).map((entry) => entry.join("="));
    report(wrong < 0, `${program} as it is, ${build} build, ${setting.join(" ")}: ${outcomes[wrong]?.text}`);
  }
}

/** @param {import("./mutants.mjs").ProgramMutant} mutant */
async function checkProgramMutant(mutant) {
  await checkClean(mutant.program);
  const overlay = path.join(work, mutant.name);
  const planted = plant(mutant, overlay);
  const source = `test/mutants/${mutant.program}.cu`;
  const program = source === mutant.file ? planted : source;
  /** @type {Partial<Record<Mode, Outcome[]>>} */
  const outcomes = {};
  for (const build of builds) {
    const out = path.join(overlay, build);
    await compile(program, overlay, build, out);
    for (const mode of modeNames) {
      if (modes[mode].build === build) outcomes[mode] = await runAll(out, modes[mode].settings);
    }
  }
  const found = (/** @type {Mode} */ mode) => (outcomes[mode] ?? []).filter(({ failed }) => failed).length;
  const cells = modeNames.map((mode) =>
    mode === "adversarial" ? `${found(mode)}/5` : found(mode) ? "found" : "missed",
  );
  const columns = [mutant.name.padEnd(30), ...cells.map((cell) => cell.padEnd(12))];
  console.log(`${columns.join("")}${mutant.bug}`);
  if (isCloseLook) {
    for (const mode of modeNames)
      console.log(`  ${mode}: ${outcomes[mode]?.find(({ failed }) => failed)?.text}`);
  }
  const blind = mutant.foundBy.filter((mode) => modeNames.includes(mode) && !found(mode));
  report(blind.length === 0, `${mutant.name} is not noticed by: ${blind.join(", ")}`);
}

/** The kernels as they are, under the tests that mutants name. @param {string} table */
async function checkCleanTable(table) {
  if (isCloseLook || given.has(table)) return;
  given.add(table);
  const { failed, text } = await runCleanTable(
    table,
    tableMutants.filter((mutant) => mutant.table === table),
    work,
  );
  report(!failed, `${table}, the kernels as they are: ${text}`);
}

/** @param {import("./mutants.mjs").TableMutant} mutant */
async function checkTableMutant(mutant) {
  await checkCleanTable(mutant.table);
  const overlay = path.join(work, mutant.name);
  const addon = await buildMutantAddon(mutant, overlay);
  const { failed, text } = await runTable(mutant.table, mutant.cases, addon, overlay);
  console.log(`${mutant.name.padEnd(30)}${(failed ? "found" : "missed").padEnd(12)}${mutant.bug}`);
  if (isCloseLook) console.log(text);
  report(failed, `${mutant.name} is not noticed by ${mutant.table}, ${mutant.cases}`);
}

const start = Date.now();
const until = Number(process.env["WARPLOOP_UNTIL"] ?? Infinity);
/** @type {unknown[]} */
const unseen = []; // there was no time for them

/** @template T @param {T[]} items @param {(item: T) => Promise<void>} visit @param {number} [end] begins none after it */
async function forEachParallel(items, visit, end = until) {
  const left = [...items];
  const worker = async () => {
    while (left.length > 0 && Date.now() < end)
      await visit(/** @type {T} */ (left.shift())).catch((/** @type {Error} */ error) =>
        report(false, error.message),
      );
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  unseen.push(...left);
}

const byName = new Map(mutants.map((mutant) => [mutant.name, mutant]));
const names = wanted.length === 0 ? [...byName.keys()] : wanted; // the order counts where time runs out
const chosen = names.flatMap((name) => byName.get(name) ?? []);
if (chosen.length !== names.length) throw new Error("there is no mutant of that name");
const tableMutants = chosen.filter((mutant) => "table" in mutant);
const programMutants = chosen.filter((mutant) => "program" in mutant);
const missing = simtProblem();
if (missing) {
  console.log(`mutants: left out, ${missing}`);
  process.exit(0);
}
rmSync(work, { recursive: true, force: true });
mkdirSync(work);
await prepare("plain", tableMutants.length > 0 ? ["warploop"] : []);
if (programMutants.length > 0) {
  for (const build of builds) await prepare(build, ["mutant_base"]);
  console.log(`${"mutant".padEnd(30)}${modeNames.map((mode) => mode.padEnd(12)).join("")}bug`);
  const share = programMutants.length / chosen.length;
  await forEachParallel(programMutants, checkProgramMutant, Date.now() + share * (until - Date.now()));
}
if (tableMutants.length > 0) {
  console.log(`${"mutant".padEnd(30)}${"op table".padEnd(12)}bug`);
  await forEachParallel(tableMutants, checkTableMutant);
}
console.log(`${((Date.now() - start) / 1000).toFixed(0)} s`);
if (unseen.length > 0) console.log(`no time was left for ${unseen.length} of ${chosen.length} mutants`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;
