// Line budgets: a file or function that outgrows its budget wants to be split by concept. Exceptions are rows of the
// table under "Budgets" in docs/architecture.md: | `path` or `path#function` | lines allowed | reason |
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cppFunctions } from "./cppFunctions.mjs";
import { root } from "../build/nativeSources.mjs";
import { repoFiles } from "./repoFiles.mjs";
import { scriptFunctions } from "./scriptFunctions.mjs";

/**
 * @typedef {{ name: string, line: number, lines: number }} FunctionSize
 * @typedef {{ where: string, lines: number, budget: number }} Excess
 * @typedef {{ allowed: number, reason: string }} Exception
 */

const functionBudget = 60;
const fileBudgets = [
  { pattern: /\.(cu|cuh)$/, lines: 600 },
  { pattern: /\.(h|cc)$/, lines: 350 },
  { pattern: /^test\/.*\.(ts|mjs)$/, lines: 400 },
  { pattern: /\.(ts|mjs)$/, lines: 300 },
];

/** @returns {Map<string, Exception>} by path, or path#function */
export function readExceptions() {
  const file = path.join(root, "docs/architecture.md");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const section = /^#+ Budgets$\n([\s\S]*?)(?=^#+ |$(?![\s\S]))/m.exec(text)?.[1] ?? "";
  const rows = section.matchAll(/^\| *`([^`]+)` *\| *(\d+) *\| *([^|]+?) *\|$/gm);
  return new Map(
    [...rows].map(([, where = "", allowed, reason = ""]) => [where, { allowed: Number(allowed), reason }]),
  );
}

/** @param {string} file @param {string} text @returns {FunctionSize[]} */
function functionsOf(file, text) {
  return /\.(ts|mjs)$/.test(file) ? scriptFunctions(file, text) : cppFunctions(text);
}

/** @returns {Excess[]} everything above its budget and its exception */
export function findExcesses() {
  const exceptions = readExceptions();
  const budgetOf = (/** @type {string} */ where, /** @type {number} */ budget) =>
    Math.max(budget, exceptions.get(where)?.allowed ?? 0);
  const excesses = [];
  for (const file of repoFiles(/\.(ts|mjs|h|cc|cu|cuh)$/)) {
    const text = readFileSync(path.join(root, file), "utf8");
    const lines = text.replace(/\n$/, "").split("\n").length;
    const standard = fileBudgets.find(({ pattern }) => pattern.test(file))?.lines ?? Infinity;
    const budget = budgetOf(file, standard);
    if (lines > budget) excesses.push({ where: file, lines, budget });
    for (const fn of functionsOf(file, text)) {
      const allowed = budgetOf(`${file}#${fn.name}`, functionBudget);
      if (fn.lines > allowed)
        excesses.push({ where: `${file}#${fn.name}`, lines: fn.lines, budget: allowed });
    }
  }
  return excesses;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const excesses = findExcesses();
  for (const { where, lines, budget } of excesses)
    console.error(`${where}: ${lines} lines, budget ${budget}`);
  process.exitCode = excesses.length === 0 ? 0 : 1;
}
