// What came of a vitest run, by its JSON report: how many tests passed and failed, and what those that failed said.
import { readFileSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { root } from "../build/nativeSources.mjs";

/**
 * @typedef {{ status: string, fullName: string, failureMessages?: string[] }} Test
 * @typedef {{ numPassedTests: number, numFailedTests: number,
 *   testResults: { name: string, status: string, message?: string, assertionResults: Test[] }[] }} Report
 */

const messageLines = 25; // of a failure: the assertion and where it stands

/**
 * @param {string} file the report; one that is missing or damaged counts as one failure
 * @returns {{ passed: number, failed: number, failures: string[] }} a test file that could not even be loaded counts as
 *   one failure; failures: of each the file, the test, and what it said
 */
export function countTests(file) {
  try {
    /** @type {Report} */
    const report = JSON.parse(readFileSync(file, "utf8"));
    const failures = report.testResults.flatMap(({ name, status, message = "", assertionResults }) => {
      const tests = assertionResults.filter((test) => test.status === "failed");
      const at = path.relative(root, name);
      if (tests.length === 0) return status === "failed" ? [describe(at, [message])] : []; // not loaded
      return tests.map((test) => describe(`${at}: ${test.fullName}`, test.failureMessages ?? []));
    });
    return { passed: report.numPassedTests, failed: failures.length, failures };
  } catch {
    return { passed: 0, failed: 1, failures: ["there is no report of the tests"] };
  }
}

/** @param {string} title @param {readonly string[]} messages */
function describe(title, messages) {
  const lines = stripVTControlCharacters(messages.join("\n")).split("\n");
  return [title, ...lines.slice(0, messageLines).map((line) => `    ${line}`)].join("\n");
}
