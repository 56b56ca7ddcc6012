// Runs a list of commands one after another, each under a time limit of its own, and prints a table of what came of them.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { countTests } from "./countTests.mjs";
import { root } from "./nativeSources.mjs";

const secondsToEnd = 10; // between the polite signal at the time limit and the other one

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} command of bash
 * @property {number} limit seconds
 * @property {boolean} [isTests] runs vitest: its tests are counted
 * @property {string} [needs] the step without which this one makes no sense
 * @property {string | false} [skip] why it is left out
 * @property {NodeJS.ProcessEnv} [env] beside that of this process
 *
 * @typedef {"ok" | "FAILED" | "TIME LIMIT"} Result
 * @typedef {{ name: string, result: string, seconds: number, limit: number, tests?: { passed: number, failed: number } }} Row
 */

/**
 * @param {readonly Step[]} steps
 * @param {{ logs?: string }} [options] logs: a folder to keep each step's output in, as well
 * @returns {Promise<Row[]>} a row for each step; already printed as a table
 */
export async function runSteps(steps, { logs } = {}) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "warploop-steps-"));
  /** @type {Row[]} */
  const rows = [];
  for (const step of steps) {
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
    const kept = logs ? `{ ${command}\n} 2>&1 | tee ${path.join(logs, `${name}.log`)}` : command;
    console.log(`\n== ${name}: ${step.command}`);
    const start = performance.now();
    const result = await runWithin(`set -o pipefail; ${kept}`, limit, step.env);
    const seconds = (performance.now() - start) / 1000;
    rows.push({ name, result, seconds, limit, ...(step.isTests && { tests: countTests(report) }) });
    console.log(`== ${name}: ${result} (${seconds.toFixed(0)} s)`);
  }
  rmSync(scratch, { recursive: true, force: true });
  printTable(rows);
  return rows;
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
