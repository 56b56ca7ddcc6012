#!/usr/bin/env node
// The command `warploop`: builds the addon where install scripts are blocked, says what was built, and writes models in codes. Plain
// JavaScript, so that it runs before anything is compiled; what it does not do itself is cli/.
import { parseArgs } from "node:util";
import { closest, distance } from "fastest-levenshtein";
import { buildAddon } from "./build/build.mjs";
import { doctor, packageVersion } from "./doctor.mjs";

const usage = `Usage: warploop build|quantize|doctor [options]

  build    compile the native addon, or bring it up to date
           --force           compile everything again
           --verbose         show the output of the compiler
           --tool <name>     cmake-js or node-gyp; without it: cmake-js when CMake is there
           --cuda            add the CUDA device for every GPU from Ampere on; needs nvcc, but no GPU
           --cpu             leave it out; without either: CUDA for the GPU of this machine, if it has one
  quantize <model> <folder>   write a model, of a folder or the hub, with its matrices in codes, which
           warploop, vLLM and transformers read (compressed-tensors)
           --format <name>   int4, int8 or fp8; without it: int4
  doctor   say what was built, where it is, and which device, instruction set and threads this machine gets
  doctor <model>   say how each part of a model would be kept here, and the memory of its weights
           --quantize <name>   as a load with int4, int8 or fp8 would keep it

  --version, --help   of warploop; warploop --help lists the other commands`;

/** What is done here. */
const commands = ["build", "doctor", "quantize"];

class UsageError extends Error {}

const options = /** @type {const} */ ({
  force: { type: "boolean" },
  verbose: { type: "boolean" },
  tool: { type: "string" },
  cuda: { type: "boolean" },
  cpu: { type: "boolean" },
  format: { type: "string" },
  quantize: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
});

/**
 * What is said of a name that does not exist.
 * @param {string} what @param {string} name @param {string[]} known
 */
function unknown(what, name, known) {
  const likely = closest(name, known);
  const hint = distance(name, likely) <= 2 ? `did you mean "${likely}"?` : `known are ${known.join(", ")}`;
  return new UsageError(`unknown ${what} "${name}"; ${hint}`);
}

/** @param {string[]} args */
function readArguments(args) {
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const name = /^Unknown option '(-[^']*)'/.exec(message)?.[1];
    if (name === undefined) throw new UsageError(message);
    throw unknown(
      "option",
      name,
      Object.keys(options).map((one) => `--${one}`),
    );
  }
}

/** @param {string[]} given @param {string | undefined} quantize @returns {Promise<number>} exit status */
async function doctorOf(given, quantize) {
  const [model, ...more] = given;
  if (more.length > 0) throw new UsageError(`unexpected argument "${more[0]}"`);
  if (model === undefined && quantize !== undefined) throw new UsageError("--quantize: expected a model");
  if (model === undefined) return doctor();
  const { describeModel } = await import("./modelCommands.mjs"); // the other commands run before anything is installed
  return describeModel(model, quantize === undefined ? undefined : formatOf(quantize));
}

/** @param {string} format */
function formatOf(format) {
  if (format === "int4" || format === "int8" || format === "fp8") return format;
  throw unknown("format", format, ["int4", "int8", "fp8"]);
}

/** @param {string[]} given @param {string | undefined} format @returns {Promise<number>} exit status */
async function quantizeModel(given, format = "int4") {
  const [from, to, ...more] = given;
  if (from === undefined || to === undefined)
    throw new UsageError("quantize: expected a model and a folder to write to");
  if (more.length > 0) throw new UsageError(`unexpected argument "${more[0]}"`);
  const { quantize } = await import("./modelCommands.mjs"); // the other commands run before anything is installed
  return quantize(from, to, formatOf(format));
}

/** @param {string[]} args @returns {Promise<number>} exit status */
async function main(args) {
  if (!commands.includes(args[0] ?? "") && !/^(-v|--version)$/.test(args[0] ?? "")) {
    const { loadModule } = await import("./loadModule.mjs");
    return (await loadModule("cli/index")).main(args);
  }
  const { values, positionals } = readArguments(args);
  const [command, ...rest] = positionals;
  const { help, version, tool, force, verbose, cuda, cpu, format, quantize } = values;
  if (version) {
    console.log(packageVersion());
    return 0;
  }
  if (help) {
    console.log(usage);
    return 0;
  }
  const ofBuild = force || verbose || cuda || cpu || tool !== undefined;
  if (quantize !== undefined && command !== "doctor")
    throw new UsageError("--quantize is an option of doctor");
  if (command === "quantize") {
    if (ofBuild) throw new UsageError("quantize has one option, --format");
    return quantizeModel(rest, format);
  }
  if (command === "doctor") {
    if (ofBuild || format !== undefined) throw new UsageError("doctor has one option, --quantize");
    return doctorOf(rest, quantize);
  }
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  if (format !== undefined) throw new UsageError("--format is an option of quantize");
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
  console.error(`warploop: ${error.message}; see npx warploop --help`);
  process.exitCode = 2;
}
