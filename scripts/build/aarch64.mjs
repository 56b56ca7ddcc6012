// `npm run check:aarch64`: whether the CPU device compiles for aarch64, with a cross compiler, and whether its products with bytes
// have the bits of x86-64's, in an emulator. Nothing else is run.
//
//   --install   where the compiler or the emulator is missing, try to install them with apt-get (CI does)
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "./nativeSources.mjs";
import { compareBits, emulator } from "./isaBits.mjs";
import { which } from "./toolchain.mjs";

const compiler = "aarch64-linux-gnu-g++";
const { values } = parseArgs({ options: { install: { type: "boolean", default: false } } });

if (process.arch === "arm64") console.log("aarch64: left out, this machine is one: its own build was for it");
else {
  if (values.install && !(which(compiler) && which(emulator))) install();
  if (!which(compiler)) console.log(`aarch64: left out, there is no ${compiler} here`);
  else process.exitCode = build() === 0 && compareBits(compiler) ? 0 : 1;
}

function install() {
  if (process.getuid?.() !== 0 || !which("apt-get")) return;
  const quiet = /** @type {const} */ ({ stdio: "ignore", timeout: 120_000 });
  spawnSync("apt-get", ["update"], quiet);
  const packages = ["g++-aarch64-linux-gnu", "qemu-user-static"];
  for (const one of packages) spawnSync("apt-get", ["install", "-y", "--no-install-recommends", one], quiet);
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
