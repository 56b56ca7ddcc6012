// What of the slow modes a run of CI takes (ci.mjs): planted bugs, op tables under the race checker or under the sanitizers.
// The commit is the seed, so a run can be repeated and a row of commits sees all of it.
import { readFileSync } from "node:fs";
import path from "node:path";
import { mutants } from "../../test/mutants/mutants.mjs";
import { readOps, root } from "../build/nativeSources.mjs";
import { repoFiles } from "./repoFiles.mjs";
import { sample } from "./sample.mjs";

const usualShare = 1 / 3;
const kernelShare = 1 / 2; // what every kernel is made of, or runs on, has changed
/** Of tables, in the build that has its turn and in the other: the change of a long branch touches nearly all of them. */
const turnSeconds = 900;
const otherSeconds = 300;
const touchedSeconds = 1500; // as the race checker counts, which takes several times as long as the plain build
const unknownSeconds = 55; // a table that is not in the record yet
const underEveryKernel =
  /^native\/(simt|cuda)\/|^test\/mutants\/((run|addon|execute)\.mjs|(program|product_problem)\.h)$/;

/** What both builds beside the usual one are made from: without CMake, and for aarch64. */
const buildSource = /^native\/|^CMakeLists\.txt$|^scripts\/(build|check)\/|^package(-lock)?\.json$/;
const cudaSource = /^native\/.*\.(cu|cuh)$|^CMakeLists\.txt$|^scripts\/build\//;

/** Where no kernel has changed, one kind of GPU at a time: most of the kernels' kinds are for Hopper. @param {number} seed */
const architectureOf = (seed) => (seed % 4 === 3 ? "80" : "90a-real");

/**
 * @typedef {object} Plan
 * @property {number} seed
 * @property {string} cudaArchitectures of CMake, that CUDA sources are compiled for; "": all
 * @property {Mode} turn which of the two checking builds has its turn; a touched op table runs in the other, too
 * @property {Build[]} builds beside the usual one: one has its turn, both run where what they are made from is touched
 * @property {string[]} mutants names
 * @property {string[]} touched test files whose op the change touches: `npm test` runs them whole
 * @property {string[]} race test files
 * @property {string[]} asan test files
 *
 * @typedef {import("./sample.mjs").Candidate} Candidate
 * @typedef {"race" | "asan"} Mode
 * @typedef {"without-cmake" | "aarch64"} Build
 */

/** @type {Build[]} */
const otherBuilds = ["without-cmake", "aarch64"];

/**
 * @param {object} options
 * @param {string} options.commit hash
 * @param {readonly string[]} options.changed files relative to the repository
 * @param {boolean} options.whole everything, whatever the seed
 * @param {readonly Candidate[]} [options.bugs]
 * @param {(mode: Mode) => readonly Candidate[]} [options.tables]
 * @returns {Plan}
 */
export function planRun({ commit, changed, whole, bugs = mutantCandidates(), tables = tableCandidates }) {
  const seed = Number.parseInt(commit.slice(0, 7), 16) || 1;
  const turn = seed % 2 === 0 ? "race" : "asan";
  const share = whole ? 1 : changed.some((file) => underEveryKernel.test(file)) ? kernelShare : usualShare;
  const tablesIn = (/** @type {Mode} */ mode) => {
    const hasTurn = whole || mode === turn;
    const room = whole ? Infinity : hasTurn ? turnSeconds : otherSeconds;
    return sample({ seed, candidates: tables(mode), share: hasTurn ? share : 0, changed, room });
  };
  return {
    seed,
    cudaArchitectures: whole || changed.some((file) => cudaSource.test(file)) ? "" : architectureOf(seed),
    turn,
    builds: otherBuilds.filter(
      (_, i) => whole || (seed >> 1) % 2 === i || changed.some((file) => buildSource.test(file)),
    ),
    mutants: sample({
      seed,
      candidates: bugs,
      share,
      changed,
      room: Math.ceil(Math.max(share, kernelShare) * bugs.length),
    }),
    touched: sample({ seed, candidates: tables("race"), share: 0, changed, room: touchedSeconds }),
    race: tablesIn("race"),
    asan: tablesIn("asan"),
  };
}

/**
 * A planted bug is asked for by the op that it is planted in or run with, by the program or the op table that has to find it,
 * and by the listing that has it.
 */
export function mutantCandidates() {
  const listings = repoFiles(/^test\/mutants\/mutants.*\.mjs$/).map((file) => ({ file, text: read(file) }));
  return mutants.map((mutant) => {
    const { name, file } = mutant;
    const finder = "table" in mutant ? mutant.table : `test/mutants/${mutant.program}.cu`;
    const included = [...read(finder).matchAll(/^#include "(ops\/[^"]*)"/gm)].map(([, to]) => `native/${to}`);
    const ops = [file, ...included].flatMap((at) => /^native\/ops\/[^/]+\//.exec(at) ?? []);
    const listing = listings.filter(({ text }) => text.includes(`"${name}"`)).map(({ file: at }) => at);
    return { name, paths: [...ops, file, finder, ...listing] };
  });
}

/**
 * An op table is asked for by everything that bears the op's name, and by the engines that the op's kernels are made from.
 * @param {Mode} mode whose seconds are meant
 * @returns {Candidate[]}
 */
export function tableCandidates(mode) {
  /** @type {Record<Mode, Record<string, number>>} seconds of CI : tableSeconds.mjs */
  const known = JSON.parse(read("scripts/check/tableSeconds.json"));
  const ops = readOps();
  const sources = repoFiles(/^native\/ops\/.*\.(cu|cuh|h)$/);
  return repoFiles(/^test\/ops\/.*\.test\.ts$/).map((name) => {
    const op = ops.find(({ js }) => path.basename(name).split(".")[0] === js);
    const seconds = known[mode][name] ?? unknownSeconds;
    if (!op) return { name, paths: [name], seconds };
    const folder = `native/ops/${op.name}/`;
    const engines = enginesIn(sources.filter((file) => file.startsWith(folder)));
    return {
      name,
      paths: [name, folder, `test/reference/${op.js}.ts`, `lib/ops/${op.js}.ts`, ...engines],
      seconds,
    };
  });
}

/**
 * What every kernel is made of (`cuda/device`) is none: its change asks for a larger share of all tables.
 * @param {readonly string[]} sources
 * @returns {string[]} folders of `native/cuda` that they include from
 */
function enginesIn(sources) {
  const folders = sources.flatMap((file) =>
    [...read(file).matchAll(/^#include "(cuda\/[^"/]+\/)/gm)].map(([, folder]) => `native/${folder}`),
  );
  return [...new Set(folders)].filter((folder) => folder !== "native/cuda/device/");
}

/** @param {string} file */
function read(file) {
  return readFileSync(path.join(root, file), "utf8");
}
