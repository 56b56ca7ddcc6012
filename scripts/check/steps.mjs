// Runs a list of commands one after another, each under a time limit of its own, and prints a table of what came of them.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { countTests } from "./countTests.mjs";
import { root } from "../build/nativeSources.mjs";

const leastSeconds = 240; // of a sampled step, however long the others have taken
const secondsToEnd = 10; // between the polite signal at the time limit and the other one
const lastLines = 40; // of the output of a step that failed: they are said once more at the end
const failuresShown = 20;

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} command of bash
 * @property {number} limit seconds
 * @property {boolean} [isTests] runs vitest: its tests are counted
 * @property {string} [needs] the step without which this one makes no sense
 * @property {string | false} [skip] why it is left out
 * @property {NodeJS.ProcessEnv} [env] beside that of this process
 * @property {boolean} [isSampled] takes its part of the time that is left; past it, WARPLOOP_UNTIL, it begins nothing new
 *
 * @typedef {"ok" | "FAILED" | "TIME LIMIT"} Result
 * @typedef {{ name: string, result: string, seconds: number, limit: number, tests?: ReturnType<typeof countTests> }} Row
 */

/**
 * @param {readonly Step[]} steps
 * @param {{ logs?: string, seconds?: number }} [options] logs: a folder to keep each step's output in; seconds: that all steps
 *   together should take, kept by those that are sampled
 * @returns {Promise<Row[]>} a row for each step; already printed: what the failed ones said once more, and a table
 */
export async function runSteps(steps, { logs, seconds: room = Infinity } = {}) {
  const begin = Date.now();
  const scratch = mkdtempSync(path.join(os.tmpdir(), "warploop-steps-"));
  /** @type {Row[]} */
  const rows = [];
  /** @type {string[]} */
  const said = [];
  for (const [i, step] of steps.entries()) {
    const { name, limit } = step;
    const before = rows.find((row) => row.name === step.needs)?.result ?? "ok";
    const reason = step.skip || (before !== "ok" && `${step.needs}: ${before}`);
    if (reason) {
      rows.push({ name, result: `skipped, ${reason}`, seconds: 0, limit });
      continue;
    }
    const report = path.join(scratch, `${name}.json`);
    const reporters = `--reporter=default --reporter=json --outputFile.json=${report}`;
    const command = step.isTests ? `${step.command} ${reporters}` : step.command;
    const log = path.join(logs ?? scratch, `${name}.log`);
    console.log(`\n== ${name}: ${step.command}`);
    const start = performance.now();
    const piped = `set -o pipefail; { ${command}\n} 2>&1 | tee ${log}`;
    const left = room - (Date.now() - begin) / 1000;
    const sampled = steps.slice(i).filter(({ isSampled, skip }) => isSampled && !skip);
    const until = Date.now() + 1000 * Math.max(leastSeconds, left / sampled.length);
    const timed = step.isSampled && Number.isFinite(until) && { WARPLOOP_UNTIL: String(Math.round(until)) };
    const env = { ...step.env, ...timed };
    const result = await runWithin(piped, limit, env);
    const seconds = (performance.now() - start) / 1000;
    const tests = step.isTests ? countTests(report) : undefined;
    rows.push({ name, result, seconds, limit, ...(tests && { tests }) });
    console.log(`== ${name}: ${result} (${seconds.toFixed(0)} s)`);
    if (result !== "ok") said.push(`== ${name}: ${result}`, ...trouble(log, tests));
  }
  rmSync(scratch, { recursive: true, force: true });
  if (said.length > 0) console.log(`\n${said.join("\n")}`);
  printTable(rows);
  return rows;
}

/**
 * What a reader needs who sees only the end of the output.
 * @param {string} log @param {ReturnType<typeof countTests>} [tests]
 * @returns {string[]}
 */
function trouble(log, tests) {
  if (tests && tests.failures.length > 0) return tests.failures.slice(0, failuresShown);
  return readFileSync(log, "utf8").trimEnd().split("\n").slice(-lastLines);
}

/**
 * Each test counts as one, and so does every other step that has run.
 * @param {readonly Row[]} rows
 */
export function countResults(rows) {
  const total = { passed: 0, failed: 0 };
  for (const { result, tests } of rows.filter((row) => !row.result.startsWith("skipped"))) {
    const isOk = result === "ok";
    total.passed += tests ? tests.passed : Number(isOk);
    total.failed += Math.max(tests?.failed ?? 0, Number(!isOk));
  }
  return total;
}

/**
 * Runs a command in a process group of its own, so that the time limit ends whatever it has started.
 * @param {string} command of bash @param {number} seconds @param {NodeJS.ProcessEnv} [env] beside that of this process
 * @returns {Promise<Result>}
 */
export function runWithin(command, seconds, env = {}) {
  return new Promise((resolve) => {
    const child = spawn("bash", ["-c", command], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    });
    const end = (/** @type {"TERM" | "KILL"} */ signal) => {
      const group = ["-s", signal, "--", `-${child.pid}`];
      if (child.pid !== undefined) spawnSync("kill", group, { stdio: "ignore" });
    };
    const interrupted = () => {
      end("KILL");
      process.exit(1);
    };
    process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      end("TERM");
      setTimeout(end, secondsToEnd * 1000, "KILL").unref();
    }, seconds * 1000);
    child.on("close", (status) => {
      clearTimeout(late);
      end("KILL"); // what it has left running
      process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
      resolve(isLate ? "TIME LIMIT" : status === 0 ? "ok" : "FAILED");
    });
  });
}

/** @param {readonly Row[]} rows */
function printTable(rows) {
  const print = (/** @type {string[]} */ ...[name = "", seconds = "", limit = "", result = ""]) =>
    console.log(`${name.padEnd(22)}${seconds.padStart(8)}${limit.padStart(8)}  ${result}`.trimEnd());
  console.log("");
  print("step", "seconds", "limit", "result");
  for (const { name, result, seconds, limit } of rows) print(name, seconds.toFixed(0), String(limit), result);
  print("all", rows.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(0));
}
