// Builds the addon from source with cmake-js, or with node-gyp where CMake is missing. Downloads nothing: the headers
// come from the packages node-api-headers and node-addon-api. A second call compiles only what has changed.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { binaries, probeAddon } from "./addon.mjs";
import { isaNames, root } from "./nativeSources.mjs";
import { findToolchain } from "./toolchain.mjs";

const require = createRequire(import.meta.url);
const bytesPerJob = 1.5 * 2 ** 30;
const shownLines = 60;

/** @param {string} message */
export function say(message) {
  console.log(`[warploop] ${message}`);
}

/**
 * @typedef {object} BuildOptions
 * @property {boolean} [force] delete what is there and compile everything
 * @property {boolean} [verbose] show the output of the compiler; otherwise only when it fails
 * @property {import("./toolchain.mjs").BuildTool} [tool] insist on one build tool
 */

/**
 * Builds the addon and loads it once.
 * @param {BuildOptions} [options]
 * @returns {Promise<string | undefined>} undefined, or what went wrong in one sentence; already printed: the compiler's output
 */
export async function buildAddon({ force = false, verbose = false, tool } = {}) {
  const isas = isaNames();
  if (process.platform === "win32" || isas.length === 0) {
    return `warploop runs on Linux and macOS, x86-64 and aarch64; this is ${process.platform} ${process.arch}`;
  }
  const toolchain = findToolchain(tool);
  if ("problem" in toolchain) return `the native addon cannot be built because ${toolchain.problem}.`;

  const start = performance.now();
  say(
    `Building the native addon with ${toolchain.tool} and ${toolchain.compiler}: the CPU device, for ${isas.join(" and ")}.`,
  );
  if (isas.length > 1) say("The best instruction set that the processor has is chosen at start-up.");
  say("There is no CUDA device in this release: models run on the CPU.");

  if (force) clean(toolchain.tool);
  const status = await runTool(toolchain, verbose);
  if (status !== 0) return "the native addon did not compile; the compiler's messages are above.";
  const binary = binaries[toolchain.tool];
  const { error } = probeAddon(path.join(root, binary));
  if (error) return `${binary} was built but does not load: ${error}`;
  say(`${binary} is ready (${((performance.now() - start) / 1000).toFixed(0)} s).`);
  return undefined;
}

/** @param {import("./toolchain.mjs").BuildTool} tool */
function clean(tool) {
  const folders = tool === "cmake-js" ? ["build"] : ["build-gyp", "native/build"];
  for (const folder of folders) rmSync(path.join(root, folder), { recursive: true, force: true });
}

/** A CMake folder that was configured elsewhere (the checkout was moved or copied) cannot be used again. */
function dropForeignCache() {
  const cache = path.join(root, "build/CMakeCache.txt");
  if (!existsSync(cache)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8"))?.[1];
  if (!home || path.resolve(home) !== path.resolve(root)) clean("cmake-js");
}

/**
 * @param {import("./toolchain.mjs").Toolchain} toolchain
 * @param {boolean} verbose
 * @returns {Promise<number>} exit status
 */
function runTool({ tool, compiler }, verbose) {
  const jobs = String(
    Math.max(1, Math.min(os.availableParallelism(), Math.floor(os.totalmem() / bytesPerJob))),
  );
  if (tool === "cmake-js") {
    dropForeignCache();
    const script = path.join(path.dirname(require.resolve("cmake-js/package.json")), "bin/cmake-js");
    return run([script, "build", "-p", jobs], compiler, verbose);
  }
  const script = require.resolve("node-gyp/bin/node-gyp.js");
  const options = [
    "-C",
    path.join(root, "native"),
    "--nodedir=.",
    "--force-process-config",
    "--loglevel=error",
    "-j",
    jobs,
  ];
  return run([script, "configure", "build", ...options], compiler, verbose);
}

/**
 * Runs a node script with its output on a progress line; shows the end of the output when it fails.
 * @param {string[]} args
 * @param {string} compiler
 * @param {boolean} verbose
 * @returns {Promise<number>}
 */
function run(args, compiler, verbose) {
  // gyp asks `node` on PATH for the list of sources: let it be this one.
  const PATH = `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"] ?? ""}`;
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, CXX: compiler, PATH },
    stdio: verbose ? "inherit" : ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const progress = new Progress();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => {
      output += text;
      progress.show(output);
    });
  }
  return new Promise((resolve) => {
    child.on("error", (error) => {
      output += error.message;
      resolve(1);
    });
    child.on("close", (code) => {
      progress.end();
      if (code !== 0 && !verbose) console.error(output.trimEnd().split("\n").slice(-shownLines).join("\n"));
      resolve(code ?? 1);
    });
  });
}

/** One line, rewritten in place, on a terminal; nothing elsewhere. */
class Progress {
  #start = performance.now();
  #shown = false;

  /** @param {string} output everything that the build tool has printed so far */
  show(output) {
    if (!process.stdout.isTTY) return;
    // ninja prints [12/60], make [ 20%], and gyp's make one line a file
    const step = output.match(/^\[ *\d+(\/\d+|%)\]/gm)?.at(-1) ?? output.match(/CXX\(target\)/g)?.length;
    if (step === undefined) return;
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(0);
    process.stdout.write(`\r[warploop] compiling: ${step}, ${seconds} s `);
    this.#shown = true;
  }

  end() {
    if (this.#shown) process.stdout.write("\n");
  }
}
