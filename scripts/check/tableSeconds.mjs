// What each op table takes under the race checker and under the sanitizers, from the JSON report of a run of all of them:
// ciPlan.mjs gives the tables of a run the time that there is.
//
//     npm run test:race -- --reporter=json --outputFile=race.json && node scripts/check/tableSeconds.mjs race race.json [wall seconds]
//
// Files run beside each other, so their own times are scaled to those of the whole run: given, or from its first to its last test.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../build/nativeSources.mjs";

const [mode, report, given] = process.argv.slice(2);
if ((mode !== "race" && mode !== "asan") || report === undefined)
  throw new Error("usage: node scripts/check/tableSeconds.mjs race|asan <report.json> [wall seconds]");

/** @type {{ startTime: number, testResults: { name: string, startTime: number, endTime: number }[] }} */
const { startTime, testResults } = JSON.parse(readFileSync(report, "utf8"));
const lasted = ({ startTime: start = 0, endTime: end = 0 }) => (end - start) / 1000;
const last = Math.max(...testResults.map(({ endTime }) => endTime));
const wall = given === undefined ? (last - startTime) / 1000 : Number(given);
const scale = wall / testResults.reduce((sum, result) => sum + lasted(result), 0);
const tables = testResults.map((result) => [
  path.relative(root, result.name),
  Math.max(1, Math.round(scale * lasted(result))),
]);
const record = path.join(root, "scripts/check/tableSeconds.json");
const known = JSON.parse(readFileSync(record, "utf8"));
known[mode] = Object.fromEntries(tables.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
writeFileSync(record, `${JSON.stringify(known, undefined, 2)}\n`);
console.log(`${tables.length} tables, ${wall.toFixed(0)} s in all`);
