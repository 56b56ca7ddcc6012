#!/usr/bin/env node
// The command `warploop`: builds the addon where install scripts are blocked, and says what was built. Plain JavaScript
// without dependencies, so that it runs before anything is compiled.
import { parseArgs } from "node:util";
import { buildAddon } from "./build.mjs";
import { doctor, packageVersion } from "./doctor.mjs";

const usage = `Usage: warploop <command> [options]

  build    compile the native addon, or bring it up to date
           --force           compile everything again
           --verbose         show the output of the compiler
           --tool <name>     cmake-js or node-gyp; without it: cmake-js when CMake is there
           --cuda            add the CUDA device for every GPU from Ampere on; needs nvcc, but no GPU
           --cpu             leave it out; without either: CUDA for the GPU of this machine, if it has one
  doctor   say what was built, where it is, and which device, instruction set and threads this machine gets

  --version, --help   of warploop; also behind a command`;

class UsageError extends Error {}

/** @param {string[]} args */
function readArguments(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        force: { type: "boolean" },
        verbose: { type: "boolean" },
        tool: { type: "string" },
        cuda: { type: "boolean" },
        cpu: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "v" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string[]} args @returns {Promise<number>} exit status */
async function main(args) {
  const { values, positionals } = readArguments(args);
  const [command, ...rest] = positionals;
  const { help, version, tool, force, verbose, cuda, cpu } = values;
  if (version) {
    console.log(packageVersion());
    return 0;
  }
  if (help || !command) {
    console.log(usage);
    return help ? 0 : 2;
  }
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  if (command === "doctor") {
    if (force || verbose || cuda || cpu || tool !== undefined) throw new UsageError("doctor has no options");
    return doctor();
  }
  if (command !== "build") throw new UsageError(`unknown command "${command}": build or doctor`);
  if (tool !== undefined && tool !== "cmake-js" && tool !== "node-gyp") {
    throw new UsageError(`unknown tool "${tool}": cmake-js or node-gyp`);
  }
  if (cuda && cpu) throw new UsageError("--cuda and --cpu exclude each other");
  const devices = cuda ? "cuda" : cpu ? "cpu" : "auto";
  const problem = await buildAddon({ force, verbose, tool, devices });
  if (problem) console.error(`[warploop] ${problem}`);
  return problem ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`warploop: ${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
