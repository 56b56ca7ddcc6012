/**
 * Longest time that generating keeps the event loop from turning (target: under 10 ms), with long prompts and several
 * sequences. A timer is late for two reasons: JavaScript was busy, or the operating system gave the core to another thread.
 * The control row shows the second alone: as many busy processes as the device has threads, and no engine.
 *
 *     npm run bench:event-loop
 */
import { fork } from "node:child_process";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { LLM } from "../lib/index.js";
import { randomCheckpoint } from "./support/randomCheckpoint.js";
import { randomIds } from "./support/randomValues.js";
import { printTable } from "./support/table.js";

interface Case {
  /** Lengths of the prompts that start together, in tokens. */
  readonly prompts: readonly number[];
  readonly decodeTokens: number;
}

const targetMs = 10;
const cases: readonly Case[] = [
  { prompts: [128], decodeTokens: 64 },
  { prompts: [2000], decodeTokens: 40 },
  { prompts: Array.from({ length: 8 }, () => 64), decodeTokens: 40 },
  { prompts: [2000, 64, 64, 64, 64, 64, 64, 64], decodeTokens: 40 },
];
const models: readonly (readonly [name: string, folder: string])[] = [
  ["tiny-moe", fileURLToPath(new URL("../models/tiny-moe", import.meta.url))],
  ["qwen3-0.6b shape", randomCheckpoint("qwen3-0.6b")],
];

const rows: string[][] = [];
let threads = 0;
for (const [name, folder] of models) {
  await using llm = await LLM.load(folder, { contextLength: 2048, maxSequences: 8, prefixCache: false });
  threads = llm.stats().threads;
  await run(llm, cases[0]!); // captures the graphs, compiles the JavaScript
  for (const each of cases) {
    console.error(`${name}: ${describe(each)}`);
    rows.push(row(name, describe(each), await delayDuring(() => run(llm, each))));
  }
}
rows.push(
  row(
    "control",
    `${threads} busy processes, no engine, 5 s`,
    await delayDuring(() => beBusy(threads, 5_000)),
  ),
);
printTable(["model", "load", "longest ms", "99 % ms", `target ${targetMs} ms`], rows);
console.log("Where the control misses the target, too, the machine is too busy to tell.");

interface Delay {
  readonly longestMs: number;
  readonly p99Ms: number;
}

async function delayDuring(work: () => Promise<void>): Promise<Delay> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  return { longestMs: delay.max / 1e6, p99Ms: delay.percentile(99) / 1e6 };
}

async function run(llm: LLM, { prompts, decodeTokens }: Case): Promise<void> {
  const options = { maxTokens: decodeTokens, temperature: 0, ignoreEos: true };
  const ids = prompts.map((length, i) => randomIds(i, length, llm.shape.vocabSize));
  await Promise.all(ids.map((prompt) => llm.generate(prompt, options).result()));
}

async function beBusy(count: number, ms: number): Promise<void> {
  const script = fileURLToPath(new URL("support/spin.ts", import.meta.url));
  const children = Array.from({ length: count }, () => fork(script));
  await new Promise((resolve) => setTimeout(resolve, ms));
  for (const child of children) child.kill();
}

function describe({ prompts, decodeTokens }: Case): string {
  const longest = Math.max(...prompts);
  const others = prompts.length > 1 ? `, ${prompts.length - 1} more of ${prompts.at(-1)}` : "";
  return `prompt of ${longest}${others}; ${decodeTokens} tokens each`;
}

function row(name: string, load: string, { longestMs, p99Ms }: Delay): string[] {
  const verdict = name === "control" ? "" : longestMs < targetMs ? "met" : "missed";
  return [name, load, longestMs.toFixed(1), p99Ms.toFixed(1), verdict];
}
