/**
 * warploop beside node-llama-cpp: the same random model of a family (bf16 here, F16 there, equal values), the same token ids,
 * the same number of threads, repetitions taking turns. The peer is not a dependency of this package.
 *
 *     npm run bench:peer -- [--family qwen3,mamba2] [--reps 3] [--threads 2] [--workloads 1x512+128,4x128+64] [--busy]
 *                           [--format bf16,q8_0,q4_k] [--activations float] [--peer <folder>]
 *
 * --family       qwen3 (default), qwen2, gemma3, gpt-oss, deepseek2, mamba2; or "all"
 * --format       both read the same GGUF file, one for each format of the list, whose matrices are random blocks: bf16, f16, q8_0, q6_k, q5_k,
 *                q5_1, q5_0, q4_k, q4_1, q4_0, mxfp4. Or we quantise a file of bf16 while it is loaded: int8 beside the peer's q8_0, int4 beside
 *                its q4_0. A table has them beside the peer and beside our own bf16, or f16 if that is not in the list. The models of the
 *                whole list are in memory at the same time
 * --activations  with --format: "float" keeps activations floats; default "auto", bytes where products have them
 * --busy         another process keeps one core busy meanwhile
 * --peer         folder whose node_modules has the peer; default bench/output/peer
 */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Device } from "../../lib/index.js";
import { benchArgs } from "../support/benchArgs.js";
import { measureReading } from "../support/ceilings.js";
import type { GenerationTiming } from "../support/generationTiming.js";
import { modelShapes, type ModelShapeName } from "../support/modelShapes.js";
import { outputFolder, randomCheckpoint } from "../support/randomCheckpoint.js";
import { compareFormats } from "./compareFormats.js";
import { parseFormats } from "./fileFormats.js";
import { Pair, type PairOptions } from "./pair.js";
import { progress } from "./progress.js";
import { randomGguf } from "./randomGguf.js";
import { printComparison, printSpeed } from "./report.js";
import { Side } from "./side.js";
import { nameOf, parseWorkloads } from "./workloads.js";

const testedVersion = "3.22.1";
const tinyMoe = fileURLToPath(new URL("../../models/tiny-moe", import.meta.url));
const tinyWorkload = { sequences: 1, promptTokens: 32, decodeTokens: 512 };
const families: Readonly<Record<string, ModelShapeName>> = {
  qwen3: "qwen3-0.6b",
  qwen2: "qwen2-0.5b",
  gemma3: "gemma3-0.5b",
  "gpt-oss": "gpt-oss-0.4b",
  deepseek2: "deepseek2-0.6b",
  mamba2: "mamba2-0.6b",
};

const values = benchArgs(import.meta.url, {
  family: { type: "string", default: "qwen3" },
  format: { type: "string" },
  activations: { type: "string" },
  reps: { type: "string", default: "3" },
  threads: { type: "string", default: String(os.availableParallelism()) },
  workloads: { type: "string", default: "1x512+128,4x128+64,4x512+128" },
  busy: { type: "boolean", default: false },
  peer: { type: "string", default: join(outputFolder, "peer") },
});
const [reps, threads] = [Number(values.reps), Number(values.threads)];
const workloads = parseWorkloads(values.workloads);
const formats = values.format === undefined ? undefined : parseFormats(values.format);
const activations = parseActivations(values.activations);
const chosen = values.family === "all" ? Object.keys(families) : values.family.split(",");
const shapes = chosen.map((family) => {
  const shape = families[family];
  if (!shape)
    throw new Error(`--family: expected a list of ${Object.keys(families).join(", ")}, got "${family}"`);
  return shape;
});

const peer = findPeer(resolve(values.peer));
if (peer) await compareAll(peer);
else process.exitCode = 1;

interface Peer {
  readonly folder: string;
  readonly version: string;
}

/** The peer's package, or undefined after saying how to get it. */
function findPeer(folder: string): Peer | undefined {
  const packageFolder = join(folder, "node_modules", "node-llama-cpp");
  const manifest = join(packageFolder, "package.json");
  if (!existsSync(manifest)) {
    const target = relative(process.cwd(), folder);
    console.error(`The peer is not installed (about 725 MB). Install it with one command, then run this again:

    npm install --prefix ${target} node-llama-cpp@${testedVersion}
`);
    return undefined;
  }
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  return { folder: packageFolder, version };
}

async function compareAll({ folder, version }: Peer): Promise<void> {
  const device = Device.open("cpu", { threads });
  const ours = formats ? `GGUF files, activations "${activations}"` : "bf16 beside F16";
  console.log(`warploop beside node-llama-cpp ${version}, random weights: ${ours}`);
  const machine = `${os.cpus()[0]?.model} (${device.isa})`;
  console.log(`${machine}, ${threads} threads each, medians of ${reps} repetitions taking turns`);
  const busy = values.busy ? keepBusy() : undefined;
  for (const shape of shapes) {
    const options = { peer: folder, shape, threads, workloads };
    if (formats) await compareFormats(formats, { ...options, activations, reps }, device);
    else await compare(options, device);
  }
  if (!formats) await timeTiny();
  busy?.kill();
}

function keepBusy(): ChildProcess {
  console.log("Another process keeps one core busy.");
  return fork(fileURLToPath(new URL("../support/spin.ts", import.meta.url)));
}

async function compare(options: PairOptions, device: Device): Promise<void> {
  const { shape } = options;
  progress(`${shape}: writing the model in both formats`);
  const models = { ours: randomCheckpoint(shape), theirs: randomGguf(shape, "f16") };
  progress(`${shape}: loading`);
  const { numLayers, hiddenSize } = modelShapes[shape];
  const pair = await Pair.load(models, options);
  console.log(`\n${shape}: ${numLayers} layers of ${hiddenSize}\n`);
  for (const workload of workloads) {
    const timings: (readonly [GenerationTiming, GenerationTiming])[] = [];
    const readings: number[] = [];
    for (let rep = 1; rep <= reps; rep++) {
      progress(`${shape}, ${nameOf(workload)}, repetition ${rep} of ${reps}`);
      timings.push(await pair.run(workload, rep));
      readings.push(await measureReading(device));
    }
    progress("");
    printComparison(nameOf(workload), workload, timings, readings);
  }
  pair.stop();
}

async function timeTiny(): Promise<void> {
  const options = { threads, contextLength: 1024, maxSequences: 1 };
  const tiny = new Side("warploop, tiny-moe", "ours.ts", [tinyMoe, JSON.stringify(options)]);
  await tiny.ready();
  const alone: GenerationTiming[] = [];
  for (let rep = 1; rep <= reps; rep++) alone.push(await tiny.run(tinyWorkload, rep));
  printSpeed(`tiny-moe, ${nameOf(tinyWorkload)}`, alone);
  tiny.stop();
}

function parseActivations(text = "auto"): "auto" | "float" {
  if (text !== "auto" && text !== "float")
    throw new Error(`--activations: expected auto or float, got "${text}"`);
  if (text === "float" && !formats) throw new Error("--activations float: it needs --format");
  return text;
}
