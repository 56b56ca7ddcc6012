// `npm run test:mutants [-- NAME...]`: does the emulator find what it is there for? Each mutant of mutants.mjs is a
// kernel of ours with a planted bug. It runs in four ways: naive, as an emulator without tricks would; adversarial, with
// several seeds; under the race checker; under AddressSanitizer and UBSan. The modes that a mutant lists have to notice
// it, and the clean kernels have to pass everywhere. With names, only those mutants, and what was said about them.
//
//   --without-asan   leaves out the slowest mode: no mutant needs it
//   --table          with names: the table alone, and the clean kernels of these mutants, as for all of them
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../../scripts/nativeSources.mjs";
import { simtBuilds, simtProblem } from "../../scripts/simtBuilds.mjs";
import { mutants } from "./mutants.mjs";

/** @typedef {import("./mutants.mjs").Mode} Mode */
/** @typedef {keyof typeof simtBuilds} Build */
/** @typedef {{ failed: boolean, text: string }} Outcome */

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
const buildFlags = {
  plain: ["-O1"],
  race: ["-O1", "-fsanitize=thread", "-Wno-tsan", "-DWARPLOOP_SIMT_RACE"],
  asan: ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
};
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
 * @param {string} command @param {string[]} args @param {Record<string, string>} [env] @param {number} [seconds]
 * @returns {Promise<Outcome>}
 */
function execute(command, args, env = {}, seconds = 600) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0", ...env },
      timeout: seconds * 1000,
      killSignal: "SIGKILL",
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += String(data)));
    child.on("error", (error) => resolve({ failed: true, text: error.message }));
    child.on("close", (status, signal) =>
      resolve({ failed: status !== 0, text: signal ? `${text}ended by ${signal}` : text }),
    );
  });
}

/**
 * Brings what all programs are linked with up to date, in one build folder.
 * @param {Build} build
 */
async function prepare(build) {
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
  const target = ["--build", folder, "--target", "mutant_base", "-j", String(jobs)];
  const built = await execute("cmake", target, {}, 1200);
  if (built.failed) throw new Error(built.text);
}

/**
 * Compiles a program to an executable.
 * @param {string} file @param {string} overlay a folder whose files take the place of those of the repository
 * @param {Build} build @param {string} out
 */
async function compile(file, overlay, build, out) {
  const { folder } = simtBuilds[build];
  const includes = [`${overlay}/native`, "native", "test/mutants", "test/atoms"].map((name) => `-I${name}`);
  const headers = readFileSync(path.join(root, folder, "cuda_headers.txt"), "utf8").trim();
  const compiled = await execute("g++", [
    ...["-std=c++20", "-g1", "-fno-math-errno", "-DWARPLOOP_SIMT", "-Wno-psabi", "-Wno-unknown-pragmas"],
    ...[...buildFlags[build], ...includes, "-isystem", headers, "-x", "c++", "-c", file, "-o", `${out}.o`],
  ]);
  if (compiled.failed) throw new Error(`${file} does not compile:\n${compiled.text}`);
  // A step of its own: with -fsanitize=thread the compiler driver would link the sanitizer's own library.
  const base = path.join(folder, "libmutant_base.a");
  const linked = await execute("g++", [`${out}.o`, base, ...linkFlags[build], "-lpthread", "-o", out]);
  if (linked.failed) throw new Error(`${file} does not link:\n${linked.text}`);
}

/**
 * Writes the mutated file into its overlay.
 * @param {import("./mutants.mjs").Mutant} mutant
 * @returns {{ overlay: string, program: string }} `program`: the file to compile
 */
function plant({ name, program, file, edits }) {
  const overlay = path.join(work, name);
  let text = readFileSync(path.join(root, file), "utf8");
  for (const [from, to] of edits) {
    const places = text.split(from).length - 1;
    if (places !== 1)
      throw new Error(`${name}: the text to replace occurs ${places} times in ${file}:\n${from}`);
    text = text.replace(from, () => to);
  }
  const to = path.join(overlay, file);
  mkdirSync(path.dirname(to), { recursive: true });
  writeFileSync(to, text);
  const source = `test/mutants/${program}.cu`;
  return { overlay, program: source === file ? to : source };
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

/**
 * The kernel as it is: has to pass in every mode, with many seeds.
 * @param {string} program
 */
async function checkClean(program) {
  for (const build of builds) {
    const out = path.join(work, `${program}-${build}`);
    await compile(`test/mutants/${program}.cu`, work, build, out);
    const seeds = build === "plain" ? cleanSeeds : 4;
    const settings = [friendly, ...Array.from({ length: seeds }, (_, i) => adversarial(i + 1))];
    const outcomes = await runAll(out, settings);
    const wrong = outcomes.findIndex(({ failed }) => failed);
    const setting = Object.entries(settings[wrong] ?? {}).map((entry) => entry.join("="));
    report(wrong < 0, `${program} as it is, ${build} build, ${setting.join(" ")}: ${outcomes[wrong]?.text}`);
  }
}

/** @param {import("./mutants.mjs").Mutant} mutant */
async function checkMutant(mutant) {
  const { overlay, program } = plant(mutant);
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

/** @template T @param {T[]} items @param {(item: T) => Promise<void>} visit */
async function forEachParallel(items, visit) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      await visit(item).catch((/** @type {Error} */ error) => report(false, error.message));
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

const chosen = mutants.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
if (wanted.length !== 0 && chosen.length !== wanted.length)
  throw new Error("there is no mutant of that name");
const missing = simtProblem();
if (missing) {
  console.log(`mutants: left out, ${missing}`);
  process.exit(0);
}
const start = performance.now();
rmSync(work, { recursive: true, force: true });
mkdirSync(work);
for (const build of builds) await prepare(build);
if (!isCloseLook) await forEachParallel([...new Set(chosen.map(({ program }) => program))], checkClean);
console.log(`${"mutant".padEnd(30)}${modeNames.map((mode) => mode.padEnd(12)).join("")}bug`);
await forEachParallel(chosen, checkMutant);
console.log(`${((performance.now() - start) / 1000).toFixed(0)} s`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;
