// Builds the addon from source with cmake-js, or with node-gyp where CMake is missing. Downloads nothing but npm packages: the headers
// come from node-api-headers and node-addon-api (tools.mjs). A second call compiles only what has changed. Each kind of
// build has a folder of its own, and the addon that was built last is the one that is loaded (lib/device/nativeLoader.ts). Below
// node_modules nothing but the addon stays of a build; in a checkout all of it.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { binaries, probeAddon } from "./addon.mjs";
import { nvccVersion, planForEveryGpu, planForThisMachine } from "./cuda.mjs";
import { estimate } from "./estimate.mjs";
import { isaNames, root } from "./nativeSources.mjs";
import { Progress, say, sayToTerminal } from "./progress.mjs";
import { findToolchain } from "./toolchain.mjs";
import { findTools } from "./tools.mjs";

const bytesPerJob = 1.5 * 2 ** 30;
const shownLines = 60;
/** Whether this is an installed package, not a checkout. */
export const isInstalled = root.split(path.sep).includes("node_modules");

/**
 * @typedef {object} BuildOptions
 * @property {boolean} [force] delete what is there and compile everything
 * @property {boolean} [verbose] show the output of the compiler; otherwise only when it fails
 * @property {import("./toolchain.mjs").BuildTool} [tool] insist on one build tool
 * @property {boolean} [brief] as `npm install` wants it: one line while it compiles, one when it is ready
 * @property {"auto" | "cpu" | "cuda"} [devices] "cuda": the CPU and every GPU; "auto": the GPUs of this machine, if any
 */

/**
 * @typedef {object} RunOptions
 * @property {string} [compiler] without it: what the build tool finds
 * @property {boolean} [verbose] show its output
 * @property {boolean} [isBrief] no progress where there is no terminal
 * @property {string} [log] a file to keep its output in
 * @property {string} [modules] a folder of packages that Node shall look into
 */

/**
 * Builds the addon and loads it once.
 * @param {BuildOptions} [options]
 * @returns {Promise<string | undefined>} undefined, or what went wrong in one sentence; already printed: the compiler's output
 */
export async function buildAddon({
  force = false,
  verbose = false,
  tool,
  brief = false,
  devices = "auto",
} = {}) {
  const isas = isaNames();
  if (process.platform === "win32" || isas.length === 0) {
    return `warploop runs on Linux and macOS, x86-64 and aarch64; this is ${process.platform} ${process.arch}`;
  }
  const toolchain = findToolchain(tool);
  if ("problem" in toolchain) return `the native addon cannot be built because ${toolchain.problem}.`;
  const cuda = planCuda(devices, toolchain.tool);
  if ("problem" in cuda && devices === "cuda")
    return `the CUDA device cannot be built because ${cuda.problem}.`;
  const tools = findTools(toolchain.tool, { isBrief: brief });
  if ("problem" in tools) return `the native addon cannot be built because ${tools.problem}.`;

  const start = performance.now();
  const kind = "problem" in cuda ? toolchain.tool : "cuda";
  if (force) clean(kind);
  announce(toolchain, cuda, { isBrief: brief, isNew: !existsSync(path.join(root, planFiles[kind])) });
  const status = await runTool(toolchain, cuda, tools, { verbose, isBrief: brief });
  if (status !== 0) return "the native addon did not compile; the compiler's messages are above.";
  const binary = binaries[kind];
  const { error } = probeAddon(path.join(root, binary));
  if (error) return `${binary} was built but does not load: ${error}`;
  utimesSync(path.join(root, binary), new Date(), new Date()); // the one to load, also when nothing had changed
  if (isInstalled) dropIntermediates(kind);
  say(`${binary} is ready (${((performance.now() - start) / 1000).toFixed(0)} s).`);
  return undefined;
}

/**
 * What is going to be built, how long that takes, and how to get what is not.
 * @param {import("./toolchain.mjs").Toolchain} toolchain
 * @param {import("./cuda.mjs").CudaPlan | import("./cuda.mjs").NoCuda} cuda
 * @param {{ isBrief: boolean, isNew: boolean }} how isNew: nothing is compiled yet
 */
function announce({ tool, compiler }, cuda, { isBrief, isNew }) {
  const { architectures } = "problem" in cuda ? { architectures: undefined } : cuda;
  const duration = estimate({ tool, architectures, jobs: jobs() });
  if (isBrief) {
    const message = `compiling the native addon: ${duration}`;
    if (isInstalled) sayToTerminal(message);
    else if (!process.stderr.isTTY) say(message); // on a terminal the progress line says so
    return;
  }
  const isas = isaNames();
  say(`Building the native addon with ${tool} and ${compiler}: the CPU device, for ${isas.join(" and ")}.`);
  if (isas.length > 1) say("The best instruction set that the processor has is chosen at start-up.");
  if ("problem" in cuda)
    say(`Without CUDA: ${cuda.problem}. \`npx warploop build --cuda\` adds it; it needs nvcc.`);
  else say(`And the CUDA device with nvcc ${nvccVersion()}, ${cuda.reason}.`);
  say(isNew ? `That takes ${duration}.` : "Compiling what has changed.");
}

/**
 * @param {"auto" | "cpu" | "cuda"} devices
 * @param {import("./toolchain.mjs").BuildTool} tool
 * @returns {import("./cuda.mjs").CudaPlan | import("./cuda.mjs").NoCuda}
 */
function planCuda(devices, tool) {
  if (devices === "cpu") return { problem: "the CPU device alone was asked for" };
  const plan = devices === "cuda" ? planForEveryGpu() : planForThisMachine();
  if ("architectures" in plan && tool !== "cmake-js")
    return { problem: "CUDA needs CMake with make or ninja" };
  return plan;
}

const buildFolders = {
  "cmake-js": ["build"],
  "node-gyp": ["build-gyp", "native/build"],
  cuda: ["build-cuda"],
};

/** What is there once files have begun to compile. */
const planFiles = {
  "cmake-js": "build/CMakeCache.txt",
  "node-gyp": "native/build/Makefile",
  cuda: "build-cuda/CMakeCache.txt",
};

/** @param {keyof typeof binaries} kind */
function clean(kind) {
  for (const folder of buildFolders[kind]) rmSync(path.join(root, folder), { recursive: true, force: true });
}

/**
 * Deletes what a build leaves beside the addon, object files above all.
 * @param {keyof typeof binaries} kind
 * @param {string} [base] the package
 */
export function dropIntermediates(kind, base = root) {
  const addon = path.join(base, binaries[kind]);
  const dropBeside = (/** @type {string} */ folder) => {
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      const entry = path.join(folder, name);
      if (addon.startsWith(entry + path.sep)) dropBeside(entry);
      else if (entry !== addon) rmSync(entry, { recursive: true });
    }
  };
  for (const folder of buildFolders[kind]) dropBeside(path.join(base, folder));
}

/**
 * A CMake folder cannot be used again when it was configured elsewhere (the checkout was moved or copied) or with other
 * options (cmake-js does not look).
 * @param {string} folder
 * @param {Record<string, string>} options
 */
function dropStaleCache(folder, options) {
  const file = path.join(root, folder, "CMakeCache.txt");
  if (!existsSync(file)) return;
  const cache = readFileSync(file, "utf8");
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(cache)?.[1];
  const isHere = home !== undefined && path.resolve(home) === path.resolve(root);
  const has = (/** @type {[string, string]} */ [name, value]) =>
    cache.split("\n").some((line) => line.startsWith(`${name}:`) && line.endsWith(`=${value}`));
  if (!isHere || !Object.entries(options).every(has))
    rmSync(path.join(root, folder), { recursive: true, force: true });
}

/** As many compilers at a time as there are cores and memory for. */
function jobs() {
  return Math.max(1, Math.min(os.availableParallelism(), Math.floor(os.totalmem() / bytesPerJob)));
}

/**
 * Builds into a folder with cmake-js.
 * @param {string} folder relative to the package
 * @param {Record<string, string>} options of CMakeLists.txt
 * @param {RunOptions & { tools?: import("./tools.mjs").Tools }} [how] tools: as found before
 * @returns {Promise<number>} exit status
 */
export function runCmake(folder, options, { tools: found, ...how } = {}) {
  dropStaleCache(folder, options);
  const tools = found ?? findTools("cmake-js");
  if ("problem" in tools) throw new Error(tools.problem);
  const { script, modules } = tools;
  const defines = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`);
  const command = existsSync(path.join(root, folder, "CMakeCache.txt")) ? "build" : "compile";
  return run([script, command, "-O", folder, "-p", String(jobs()), ...defines], {
    ...how,
    ...(modules && { modules }),
  });
}

/**
 * @param {import("./toolchain.mjs").Toolchain} toolchain
 * @param {import("./cuda.mjs").CudaPlan | import("./cuda.mjs").NoCuda} cuda
 * @param {import("./tools.mjs").Tools} tools
 * @param {RunOptions} how
 * @returns {Promise<number>} exit status
 */
function runTool({ tool, compiler }, cuda, tools, how) {
  if (!("problem" in cuda)) {
    const options = { WARPLOOP_CUDA: "ON", WARPLOOP_CUDA_ARCHITECTURES: cuda.architectures };
    return runCmake("build-cuda", options, { ...how, tools, compiler, log: "build-cuda/build.log" });
  }
  if (tool === "cmake-js") return runCmake("build", {}, { ...how, tools, compiler });
  const { script, modules } = tools;
  const options = [
    "-C",
    path.join(root, "native"),
    "--nodedir=.",
    "--force-process-config",
    "--loglevel=error",
    "-j",
    String(jobs()),
  ];
  return run([script, "configure", "build", ...options], { ...how, compiler, ...(modules && { modules }) });
}

/**
 * The environment without npm's settings: node-gyp prefers them to its arguments, so a `nodedir` in somebody's .npmrc
 * would replace our headers and with them the compiler's flags. Which python runs gyp stays the user's choice.
 * @param {NodeJS.ProcessEnv} environment
 * @returns {NodeJS.ProcessEnv}
 */
export function buildEnvironment(environment) {
  const isNpmSetting = (/** @type {string} */ name) =>
    /^npm_(package_)?config_(?!(node_gyp_)?python$)/i.test(name);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !isNpmSetting(name)));
}

/**
 * Runs a node script with its output on a progress line; shows the end of the output when it fails.
 * @param {string[]} args
 * @param {RunOptions} how
 * @returns {Promise<number>}
 */
function run(args, { compiler, verbose = false, isBrief = false, log, modules }) {
  // gyp asks `node` on PATH for the list of sources: let it be this one.
  const PATH = `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"] ?? ""}`;
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: {
      ...buildEnvironment(process.env),
      ...(compiler && { CXX: compiler }),
      ...(modules && { NODE_PATH: modules }),
      PATH,
    },
    stdio: verbose ? "inherit" : ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const progress = new Progress({ isBrief });
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
      if (log && !verbose) writeFileSync(path.join(root, log), output);
      if (code !== 0 && !verbose) console.error(output.trimEnd().split("\n").slice(-shownLines).join("\n"));
      resolve(code ?? 1);
    });
  });
}
