// Formats the repository, or with --check only says what is not formatted: TypeScript, JavaScript, JSON and Markdown
// with prettier, C++ and CUDA with clang-format.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { root } from "./nativeSources.mjs";
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

const sources = repoFiles(/^(native|test\/(atoms|mutants))\/.*\.(h|cc|cu|cuh)$/);
const clang = write ? ["-i"] : ["--dry-run", "-Werror"];
const results = [
  run("prettier/bin/prettier.cjs", [write ? "--write" : "--check", "--log-level=warn", "."]),
  sources.length === 0 || run("clang-format/index.js", [...clang, ...sources]),
];
process.exitCode = results.every(Boolean) ? 0 : 1;
