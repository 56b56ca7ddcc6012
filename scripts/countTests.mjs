// How many tests of a vitest run passed and failed, by its JSON report.
import { readFileSync } from "node:fs";

/**
 * @typedef {{ numPassedTests: number, numFailedTests: number,
 *   testResults: { status: string, assertionResults: { status: string }[] }[] }} Report
 */

/**
 * @param {string} file the report; one that is missing or damaged counts as one failure
 * @returns {{ passed: number, failed: number }} a test file that could not even be loaded counts as one failure
 */
export function countTests(file) {
  try {
    /** @type {Report} */
    const report = JSON.parse(readFileSync(file, "utf8"));
    const unloaded = report.testResults.filter(
      ({ status, assertionResults }) =>
        status === "failed" && !assertionResults.some((test) => test.status === "failed"),
    );
    return { passed: report.numPassedTests, failed: report.numFailedTests + unloaded.length };
  } catch {
    return { passed: 0, failed: 1 };
  }
}
