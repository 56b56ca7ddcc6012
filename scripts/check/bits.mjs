// `npm run bits [instruction set...]`: runs the tests whose results are on record (test/support/bits.ts) with each of these
// instruction sets (without one: all of this processor, and the emulated GPU where it is built), and counts what has other
// bits than test/bits says. With --write the records become what was computed; with --others the processor's best is left out,
// with which the tests compare by themselves.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { probeAddon } from "../build/addon.mjs";
import { root } from "../build/nativeSources.mjs";
import { simtBuilds } from "../build/simtBuilds.mjs";

const { values, positionals } = parseArgs({
  options: { write: { type: "boolean", default: false }, others: { type: "boolean", default: false } },
  allowPositionals: true,
});
const tests = ["test/ops", "test/nn", "test/models", "test/llm/golden.test.ts"];
const require = createRequire(import.meta.url);
const vitest = path.join(path.dirname(require.resolve("vitest/package.json")), "vitest.mjs");

/** @typedef {Map<string, string>} Bits of a result by what it is, both hashed */

/** @param {string} text @returns {Bits} */
const parse = (text) => {
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(lines.map((line) => /** @type {[string, string]} */ (line.split(" "))));
};

/**
 * @param {string} isa
 * @param {string} compiler
 * @param {string} project of vitest.config.ts
 * @returns {boolean} whether everything is as recorded, or is recorded now
 */
function run(isa, compiler, project) {
  const folder = mkdtempSync(path.join(tmpdir(), "warploop-bits-"));
  try {
    console.log(`bits: ${isa}`);
    const { status } = spawnSync(
      process.execPath,
      [vitest, "run", "--project", project, "--reporter=dot", ...tests],
      {
        cwd: root,
        stdio: "inherit",
        env: { ...process.env, WARPLOOP_TEST_WHOLE: "cases", WARPLOOP_ISA: isa, WARPLOOP_BITS: folder },
      },
    );
    if (status !== 0) return false;
    const actual = parse(readFileSync(path.join(folder, `${isa}.txt`), "utf8"));
    return values.write ? record(isa, compiler, actual) : compare(isa, compiler, actual);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} isa */
const recordFile = (isa) => path.join(root, "test/bits", `${isa}.txt`);

/** @param {string} isa @param {string} compiler @param {Bits} actual */
function record(isa, compiler, actual) {
  const lines = [...actual].map(([key, bits]) => `${key} ${bits}`).sort();
  writeFileSync(recordFile(isa), `# ${compiler}\n${lines.join("\n")}\n`);
  console.log(`bits: ${isa}, ${actual.size} results recorded`);
  return true;
}

/** @param {string} isa @param {string} compiler @param {Bits} actual */
function compare(isa, compiler, actual) {
  const text = existsSync(recordFile(isa)) ? readFileSync(recordFile(isa), "utf8") : "";
  if (!text.startsWith(`# ${compiler}\n`)) {
    console.log(
      `bits: ${isa} not compared: recorded with ${text.split("\n")[0] || "nothing"}, built with ${compiler}`,
    );
    return true;
  }
  const expected = parse(text);
  const others = [...actual].filter(([key, bits]) => expected.has(key) && expected.get(key) !== bits).length;
  const added = [...actual.keys()].filter((key) => !expected.has(key)).length;
  const gone = [...expected.keys()].filter((key) => !actual.has(key)).length;
  console.log(
    `bits: ${isa}, ${actual.size - others - added} as recorded, ${others} others, ${added} new, ${gone} gone`,
  );
  return others === 0;
}

/** @param {import("../build/addon.mjs").AddonInfo} info @returns {string[]} that its processor runs, the best first */
const runnable = ({ isas, isa }) => (isas && isa ? isas.slice(isas.indexOf(isa)) : ["simt"]);

const builds = [
  { binary: "build/Release/warploop.node", project: "cpu" },
  { binary: path.join(simtBuilds.plain.folder, "Release/warploop.node"), project: "simt" },
];
let isFine = true;
for (const { binary, project } of builds) {
  const { info } = probeAddon(path.join(root, binary));
  for (const isa of info ? runnable(info).slice(values.others ? 1 : 0) : []) {
    if (positionals.length > 0 && !positionals.includes(isa)) continue;
    isFine = run(isa, info?.compiler ?? "", project) && isFine;
  }
}
process.exitCode = isFine ? 0 : 1;
