// `npm run check`: format, lint, types and line budgets. Every check runs, whatever the others found.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../build/nativeSources.mjs";

const require = createRequire(import.meta.url);
const inPackage = (/** @type {string} */ name, /** @type {string} */ file) =>
  path.join(path.dirname(require.resolve(`${name}/package.json`)), file);

const checks = [
  { name: "format", script: path.join(root, "scripts/check/format.mjs"), args: ["--check"] },
  { name: "lint", script: inPackage("eslint", "bin/eslint.js"), args: ["."] },
  { name: "types", script: inPackage("typescript", "bin/tsc"), args: ["--noEmit"] },
  { name: "budgets", script: path.join(root, "scripts/check/budgets.mjs"), args: [] },
];

let failed = 0;
for (const { name, script, args } of checks) {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: "inherit" });
  if (status !== 0) failed += 1;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
}
console.log(`check: ${checks.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
