/**
 * warploop beside node-llama-cpp: the same random model of Qwen3-0.6B's shape (bf16 here, F16 there, equal values), the same
 * token ids, the same number of threads, repetitions taking turns. The peer is not a dependency of this package.
 *
 *     npm run bench:peer -- [--reps 3] [--threads 2] [--workloads 1x512+128,4x128+64] [--busy] [--peer <folder>]
 *
 * --busy   another process keeps one core busy meanwhile
 * --peer   folder whose node_modules has the peer; default bench/output/peer
 */
import { fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { GenerationTiming, Workload } from "../support/generationTiming.js";
import { modelShapes } from "../support/modelShapes.js";
import { outputFolder, randomCheckpoint } from "../support/randomCheckpoint.js";
import { printComparison, printSpeed } from "./report.js";
import { randomQwen3Gguf } from "./qwen3Gguf.js";
import { Side } from "./side.js";

const testedVersion = "3.22.1";
const tinyMoe = fileURLToPath(new URL("../../models/tiny-moe", import.meta.url));
const tinyWorkload = { sequences: 1, promptTokens: 32, decodeTokens: 512 };

const { values } = parseArgs({
  options: {
    reps: { type: "string", default: "3" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    workloads: { type: "string", default: "1x512+128,4x128+64,4x512+128" },
    busy: { type: "boolean", default: false },
    peer: { type: "string", default: join(outputFolder, "peer") },
  },
});
const { threads } = values;
const reps = Number(values.reps);
const workloads = values.workloads.split(",").map(parseWorkload);

const peer = findPeer(resolve(values.peer));
if (peer) await compare(peer);
else process.exitCode = 1;

/** The peer's package, or undefined after saying how to get it. */
function findPeer(folder: string): { readonly folder: string; readonly version: string } | undefined {
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

async function compare({
  folder,
  version,
}: {
  readonly folder: string;
  readonly version: string;
}): Promise<void> {
  progress("writing the model in both formats");
  const [checkpoint, gguf] = [randomCheckpoint("qwen3-0.6b"), randomQwen3Gguf()];
  const context = String(Math.max(...workloads.map((each) => each.promptTokens + each.decodeTokens)) + 64);
  const sequences = String(Math.max(...workloads.map((each) => each.sequences)));
  progress("loading");
  const ours = new Side("warploop", "ours.ts", [checkpoint, threads, context, sequences]);
  const theirs = new Side("node-llama-cpp", "theirs.ts", [folder, gguf, threads, context]);
  const tiny = new Side("warploop, tiny-moe", "ours.ts", [tinyMoe, threads, "1024", "1"]);
  await Promise.all([ours, theirs, tiny].map((side) => side.ready()));
  const busy = values.busy ? fork(fileURLToPath(new URL("../support/spin.ts", import.meta.url))) : undefined;

  const { numLayers, hiddenSize } = modelShapes["qwen3-0.6b"];
  console.log(
    `warploop bf16 beside node-llama-cpp ${version} F16: random Qwen3 of ${numLayers} x ${hiddenSize}`,
  );
  console.log(`${os.cpus()[0]?.model}, ${threads} threads each, medians of ${reps} repetitions taking turns`);
  if (busy) console.log("Another process keeps one core busy.");
  console.log();
  for (const workload of workloads) {
    const timings: (readonly [GenerationTiming, GenerationTiming])[] = [];
    for (let rep = 1; rep <= reps; rep++) {
      progress(`${nameOf(workload)}, repetition ${rep} of ${reps}`);
      timings.push([await ours.run(workload, rep), await theirs.run(workload, rep)]);
    }
    progress("");
    printComparison(nameOf(workload), workload, timings);
  }
  const alone: GenerationTiming[] = [];
  for (let rep = 1; rep <= reps; rep++) alone.push(await tiny.run(tinyWorkload, rep));
  printSpeed(`tiny-moe, ${nameOf(tinyWorkload)}`, alone);
  for (const side of [ours, theirs, tiny]) side.stop();
  busy?.kill();
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
