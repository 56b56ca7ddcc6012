/**
 * warploop beside node-llama-cpp: the same random model of a family (bf16 here, F16 there, equal values), the same token ids,
 * the same number of threads, repetitions taking turns. The peer is not a dependency of this package.
 *
 *     npm run bench:peer -- [--family qwen3,mamba2] [--reps 3] [--threads 2] [--workloads 1x512+128,4x128+64] [--busy]
 *                           [--peer <folder>]
 *
 * --family  qwen3 (default), qwen2, gemma3, gpt-oss, deepseek2, mamba2; or "all"
 * --busy    another process keeps one core busy meanwhile
 * --peer    folder whose node_modules has the peer; default bench/output/peer
 */
import { fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Device } from "../../lib/index.js";
import { benchArgs } from "../support/benchArgs.js";
import { measureReading } from "../support/ceilings.js";
import type { GenerationTiming, Workload } from "../support/generationTiming.js";
import { modelShapes, type ModelShapeName } from "../support/modelShapes.js";
import { outputFolder, randomCheckpoint } from "../support/randomCheckpoint.js";
import { randomGguf } from "./randomGguf.js";
import { printComparison, printSpeed } from "./report.js";
import { Side } from "./side.js";

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
  reps: { type: "string", default: "3" },
  threads: { type: "string", default: String(os.availableParallelism()) },
  workloads: { type: "string", default: "1x512+128,4x128+64,4x512+128" },
  busy: { type: "boolean", default: false },
  peer: { type: "string", default: join(outputFolder, "peer") },
});
const { threads } = values;
const reps = Number(values.reps);
const workloads = values.workloads.split(",").map(parseWorkload);
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
  console.log(`warploop bf16 beside node-llama-cpp ${version} F16, random weights`);
  console.log(`${os.cpus()[0]?.model}, ${threads} threads each, medians of ${reps} repetitions taking turns`);
  const busy = values.busy ? fork(fileURLToPath(new URL("../support/spin.ts", import.meta.url))) : undefined;
  if (busy) console.log("Another process keeps one core busy.");
  for (const shape of shapes) await compare(shape, folder);
  await timeTiny();
  busy?.kill();
}

async function compare(shape: ModelShapeName, peerFolder: string): Promise<void> {
  const device = Device.open("cpu", { threads: Number(threads) });
  progress(`${shape}: writing the model in both formats`);
  const [checkpoint, gguf] = [randomCheckpoint(shape), randomGguf(shape)];
  const context = String(Math.max(...workloads.map((each) => each.promptTokens + each.decodeTokens)) + 64);
  const sequences = String(Math.max(...workloads.map((each) => each.sequences)));
  progress(`${shape}: loading`);
  const { numLayers, hiddenSize, vocabSize } = modelShapes[shape];
  const ours = new Side("warploop", "ours.ts", [checkpoint, threads, context, sequences]);
  const theirs = new Side("node-llama-cpp", "theirs.ts", [
    peerFolder,
    gguf,
    threads,
    context,
    String(vocabSize),
  ]);
  await Promise.all([ours, theirs].map((side) => side.ready()));
  console.log(`\n${shape}: ${numLayers} layers of ${hiddenSize}\n`);
  for (const workload of workloads) {
    const timings: (readonly [GenerationTiming, GenerationTiming])[] = [];
    const readings: number[] = [];
    for (let rep = 1; rep <= reps; rep++) {
      progress(`${shape}, ${nameOf(workload)}, repetition ${rep} of ${reps}`);
      timings.push([await ours.run(workload, rep), await theirs.run(workload, rep)]);
      readings.push(await measureReading(device));
    }
    progress("");
    printComparison(nameOf(workload), workload, timings, readings);
  }
  for (const side of [ours, theirs]) side.stop();
}

async function timeTiny(): Promise<void> {
  const tiny = new Side("warploop, tiny-moe", "ours.ts", [tinyMoe, threads, "1024", "1"]);
  await tiny.ready();
  const alone: GenerationTiming[] = [];
  for (let rep = 1; rep <= reps; rep++) alone.push(await tiny.run(tinyWorkload, rep));
  printSpeed(`tiny-moe, ${nameOf(tinyWorkload)}`, alone);
  tiny.stop();
}

/** "4x128+64": 4 sequences, prompts of 128 tokens, 64 decoded each. */
function parseWorkload(text: string): Workload {
  const match = /^(\d+)x(\d+)\+(\d+)$/.exec(text);
  if (!match) throw new Error(`--workloads: expected a list of such as 4x128+64, got "${text}"`);
  const [sequences, promptTokens, decodeTokens] = match.slice(1).map(Number) as [number, number, number];
  return { sequences, promptTokens, decodeTokens };
}

function nameOf({ sequences, promptTokens, decodeTokens }: Workload): string {
  return `${sequences}x${promptTokens}+${decodeTokens}`;
}

/** What is being done, on one line that the next one replaces. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text) process.stderr.write(`${text}\n`);
}
