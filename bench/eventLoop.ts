/**
 * Longest time that the event loop is kept from turning: while generating (long prompts, several sequences), by requests of
 * every hard kind, and while tokenizers and models are loaded. A timer is late for two reasons: JavaScript was busy, or the
 * operating system gave the core to another thread. The control row shows the second alone: as many busy processes as the
 * device has threads, and no engine. The library is the compiled one, as users have it.
 *
 *     npm run bench:event-loop [-- part of a row's name]
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LLM } from "../lib/index.js";
import { loopCases, tinyMoe } from "./support/loopCases.js";
import { delayDuring, type LoopDelay } from "./support/loopDelay.js";
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
  ["tiny-moe", tinyMoe],
  ["qwen3-0.6b shape", randomCheckpoint("qwen3-0.6b")],
];
const wanted = process.argv[2] ?? "";

const rows: string[][] = [];
const threads = await measureGenerating();
for (const { name, targetMs, prepare } of loopCases.filter((each) => each.name.includes(wanted))) {
  console.error(name);
  await using work = await prepare();
  rows.push(row(name, await delayDuring(work.run), targetMs));
}
rows.push(
  row(`control: ${threads} busy processes, no engine, 5 s`, await delayDuring(() => beBusy(threads, 5_000))),
);
printTable(["load", "longest ms", "in CPU time", "99 % ms", "took ms", "target ms", ""], rows);
console.log("Where the control misses the target, too, the machine is too busy to tell: then CPU time does.");

/** @returns the threads of the device */
async function measureGenerating(): Promise<number> {
  let threads = 0;
  for (const [name, folder] of models) {
    await using llm = await LLM.load(folder, { contextLength: 2048, maxSequences: 8, prefixCache: false });
    threads = llm.stats().threads;
    await run(llm, cases[0]!); // captures the graphs, compiles the JavaScript
    for (const each of cases) {
      const load = `${name}: ${describe(each)}`;
      if (!load.includes(wanted)) continue;
      console.error(load);
      rows.push(row(load, await delayDuring(() => run(llm, each)), targetMs));
    }
  }
  return threads;
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

function row(load: string, delay: LoopDelay, targetMs?: number): string[] {
  const { longestMs, longestCpuMs, p99Ms, tookMs } = delay;
  const verdict = targetMs === undefined ? "" : longestMs < targetMs ? "met" : "missed";
  const times = [longestMs, longestCpuMs, p99Ms, tookMs].map((ms) => ms?.toFixed(1) ?? "");
  console.error(`  ${times.join(" / ")}`);
  return [load, ...times, targetMs?.toFixed(0) ?? "", verdict];
}
