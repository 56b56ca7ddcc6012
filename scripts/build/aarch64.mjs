// `npm run check:aarch64`: whether the CPU device compiles for aarch64, with a cross compiler. Nothing is run.
//
//   --install   where the compiler is missing, try to install it with apt-get (CI does)
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "./nativeSources.mjs";
import { which } from "./toolchain.mjs";

const compiler = "aarch64-linux-gnu-g++";
const { values } = parseArgs({ options: { install: { type: "boolean", default: false } } });

if (process.arch === "arm64") console.log("aarch64: left out, this machine is one: its own build was for it");
else if (!which(compiler) && !(values.install && install()))
  console.log(`aarch64: left out, there is no ${compiler} here`);
else process.exitCode = build();

/** @returns {boolean} whether the compiler is there now */
function install() {
  if (process.getuid?.() !== 0 || !which("apt-get")) return false;
  const quiet = /** @type {const} */ ({ stdio: "ignore", timeout: 120_000 });
  spawnSync("apt-get", ["update"], quiet);
  spawnSync("apt-get", ["install", "-y", "--no-install-recommends", "g++-aarch64-linux-gnu"], quiet);
  return which(compiler) !== undefined;
}

/** @returns {number} exit status */
function build() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-aarch64-"));
  const target = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"];
  const commands = [
    ["-S", root, "-B", folder, ...target, `-DCMAKE_CXX_COMPILER=${compiler}`],
    ["--build", folder, "--parallel", String(os.availableParallelism())],
  ];
  const failed = commands.find((args) => spawnSync("cmake", args, { stdio: "inherit" }).status !== 0);
  rmSync(folder, { recursive: true, force: true });
  return failed ? 1 : 0;
}
