// Formats the repository, or with --check only says what is not formatted: TypeScript, JavaScript, JSON and Markdown
// with prettier, C++ and CUDA with clang-format. lib/device/nativeOps.ts is written anew.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { nativeOpsFile, nativeOpsText } from "./nativeOps.mjs";
import { root } from "../build/nativeSources.mjs";
import { repoFiles } from "./repoFiles.mjs";

const require = createRequire(import.meta.url);
const write = process.argv.includes("--write");

/** @param {string} script @param {string[]} args @returns {boolean} whether it succeeded */
function run(script, args) {
  return (
    spawnSync(process.execPath, [require.resolve(script), ...args], { cwd: root, stdio: "inherit" })
      .status === 0
  );
}

/** @returns {Promise<boolean>} whether lib/device/nativeOps.ts says what the ops' Params say */
async function renewNativeOps() {
  const file = path.join(root, nativeOpsFile);
  const text = await nativeOpsText();
  if (readFileSync(file, "utf8") === text) return true;
  if (write) writeFileSync(file, text);
  else console.error(`${nativeOpsFile} is not what "fields" in native/ops/*/*.h names: npm run format`);
  return write;
}

const sources = repoFiles(/^(native|test\/(atoms|mutants))\/.*\.(h|cc|cu|cuh)$/);
const clang = write ? ["-i"] : ["--dry-run", "-Werror"];
const results = [
  await renewNativeOps(),
  run("prettier/bin/prettier.cjs", [write ? "--write" : "--check", "--log-level=warn", "."]),
  sources.length === 0 || run("clang-format/index.js", [...clang, ...sources]),
];
process.exitCode = results.every(Boolean) ? 0 : 1;
