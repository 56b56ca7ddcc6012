// Which compiler and which build tool this machine has. Nothing is run but `--version`.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import path from "node:path";

const oldestCmake = [3, 20];

const installHint =
  process.platform === "darwin"
    ? "`xcode-select --install` and `brew install cmake` bring them"
    : "`apt-get install g++ cmake make` (Debian, Ubuntu) or `dnf install gcc-c++ cmake make` (Fedora) brings them";

/** @param {string} command @returns {string | undefined} its path, when it is on PATH and executable */
export function which(command) {
  const folders = command.includes(path.sep) ? [""] : (process.env["PATH"] ?? "").split(path.delimiter);
  return folders.map((folder) => path.join(folder, command)).find(isExecutable);
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function hasRecentCmake() {
  if (!which("cmake")) return false;
  const text = spawnSync("cmake", ["--version"], { encoding: "utf8" }).stdout ?? "";
  const [, major = 0, minor = 0] = (/version (\d+)\.(\d+)/.exec(text) ?? []).map(Number);
  const [wantMajor = 0, wantMinor = 0] = oldestCmake;
  return major > wantMajor || (major === wantMajor && minor >= wantMinor);
}

/**
 * @typedef {"cmake-js" | "node-gyp"} BuildTool
 * @typedef {{ compiler: string, tool: BuildTool }} Toolchain
 */

/**
 * @param {BuildTool} [wanted] use this tool and no other
 * @returns {Toolchain | { problem: string }} `problem` is one sentence that says what to install
 */
export function findToolchain(wanted) {
  const names = [process.env["CXX"], "c++", "g++", "clang++"];
  const compiler = names.find((name) => name && which(name));
  if (!compiler) {
    return { problem: `there is no C++20 compiler (g++ 12, clang 14 or newer): ${installHint}` };
  }
  const canCmake = hasRecentCmake() && Boolean(which("ninja") ?? which("make"));
  const canGyp = process.platform === "linux" && Boolean(which("python3") && which("make"));
  if (canCmake && wanted !== "node-gyp") return { compiler, tool: "cmake-js" };
  if (canGyp && wanted !== "cmake-js") return { compiler, tool: "node-gyp" };
  const needs = `CMake ${oldestCmake.join(".")} with make or ninja, nor python3 with make (enough on Linux)`;
  return { problem: `there is neither ${needs}: ${installHint}` };
}
