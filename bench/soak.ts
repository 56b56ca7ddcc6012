/**
 * Soak: thousands of random requests on models/tiny-moe with a KV pool that is too small for them, so that they are
 * preempted, and with ends that come from outside. Checks that every request ends exactly once, that no page is lost, and
 * that memory does not grow.
 *
 *     npm run bench:soak -- [--requests 2000] [--seed 1] [--concurrency 40] [--device cuda]
 *
 * Exit code 1 when a request is lost, ends twice or fails; when checkIntegrity throws or something is left at the end; or
 * when resident memory grows: the 95 % interval of its slope, over the second half of the requests, lies above 2 MB per
 * 1000 requests.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { LLM, type LLMOptions } from "../lib/index.js";
import { benchArgs } from "./support/benchArgs.js";
import { type MemorySample, memoryTrend, residentMegabytes } from "./support/memoryTrend.js";
import { type SoakRequest, soakRequest } from "./support/soakRequests.js";

const values = benchArgs(import.meta.url, {
  requests: { type: "string", default: "2000" },
  seed: { type: "string", default: "1" },
  concurrency: { type: "string", default: "40" },
  device: { type: "string", default: "auto" },
});
const [total, seed, concurrency] = [Number(values.requests), Number(values.seed), Number(values.concurrency)];
const kvCacheBytes = 7 << 18; // 56 pages in bf16, 28 in f32: the longest request fits, all that run together do not
const growthLimit = 2; // MB per 1000 requests
const stallMs = 60_000; // without any chunk: requests are lost
const intervals = 20;

const folder = fileURLToPath(new URL("../models/tiny-moe", import.meta.url));
const llm = await LLM.load(folder, {
  device: values.device as NonNullable<LLMOptions["device"]>,
  contextLength: 512,
  maxSequences: 16,
  maxStepTokens: 128,
  kvCacheBytes,
});
const limits = { vocabSize: llm.shape.vocabSize, contextLength: llm.stats().contextLength };
const ends = new Map<string, number>();
const problems: string[] = [];
const samples: MemorySample[] = [];
const pending = new Map<number, SoakRequest>();
const delay = monitorEventLoopDelay({ resolution: 1 });
const start = performance.now();
let lastChunk = start;
let [started, finished, tokens, longestBlock] = [0, 0, 0, 0];

console.log(
  `${total} requests, ${concurrency} at once, seed ${seed}, on ${llm.stats().device}; ${llm.stats().kvPages} KV pages\n`,
);
console.log("requests  seconds  tokens/s  RSS MB  preemptions  prefix hit tokens");
const watch = setInterval(checkStall, 5_000);
delay.enable();
await Promise.all(Array.from({ length: concurrency }, work));
clearInterval(watch);
await new Promise((resolve) => setTimeout(resolve, 100)); // the steps of the last aborted requests
report();
await llm.close();

/** Runs requests one after another until none is left. */
async function work(): Promise<void> {
  while (started < total) {
    const index = started++;
    const request = soakRequest(seed, index, limits);
    pending.set(index, request);
    try {
      count(await follow(request));
    } catch (error) {
      const isExpected = request.isTooLong && (error as { code?: unknown }).code === "ERR_CONTEXT_LENGTH";
      if (isExpected) count("refused");
      else problems.push(`request ${index}: ${String(error)}`);
    }
    pending.delete(index);
    finished++;
    if (finished % Math.ceil(total / intervals) === 0) takeSample();
  }
}

/** Reads a request to its end. @returns how the first continuation ended */
async function follow({ prompt, options, end }: SoakRequest): Promise<string> {
  const { n = 1, maxTokens = Infinity } = options;
  const controller = new AbortController();
  if (end.kind === "signal" && end.afterMs === 0) controller.abort();
  const timer = end.kind === "signal" ? setTimeout(() => controller.abort(), end.afterMs) : undefined;
  const reasons: string[] = [];
  let chunks = 0;
  try {
    const stream = llm.generate(prompt, { ...options, signal: controller.signal });
    for await (const { index, tokenIds, finishReason, usage } of stream) {
      lastChunk = performance.now();
      tokens += tokenIds.length;
      if (reasons[index] !== undefined) throw new Error(`continuation ${index}: a chunk after the end`);
      if (finishReason !== null) reasons[index] = finishReason;
      if ((usage?.completionTokens ?? 0) > maxTokens) throw new Error(`more than ${maxTokens} tokens`);
      chunks++;
      if (end.kind === "abort" && chunks === end.afterChunks) stream.abort();
      if (end.kind === "leave" && chunks === end.afterChunks) return "left";
    }
  } finally {
    clearTimeout(timer);
  }
  const ended = reasons.filter((reason) => reason !== undefined).length;
  if (ended !== n) throw new Error(`${ended} of ${n} continuations ended`);
  return reasons[0]!;
}

function count(end: string): void {
  ends.set(end, (ends.get(end) ?? 0) + 1);
}

/** Integrity, memory and a line of progress. What it costs does not count as a block of the event loop. */
function takeSample(): void {
  longestBlock = Math.max(longestBlock, delay.max / 1e6);
  delay.disable();
  checkIntegrity();
  const megabytes = residentMegabytes();
  samples.push({ requests: finished, megabytes });
  const seconds = (performance.now() - start) / 1000;
  const { preemptions, prefix } = llm.stats();
  const numbers = [
    finished,
    seconds.toFixed(1),
    (tokens / seconds).toFixed(0),
    megabytes.toFixed(1),
    preemptions,
    prefix.hits,
  ];
  const widths = [8, 9, 10, 8, 13, 19];
  console.log(numbers.map((value, i) => String(value).padStart(widths[i]!)).join(""));
  setImmediate(() => {
    delay.reset();
    delay.enable();
  });
}

function checkIntegrity(): void {
  try {
    llm.checkIntegrity();
  } catch (error) {
    problems.push(String(error));
  }
}

/** A lost request would wait for ever: names those that wait, and ends. */
function checkStall(): void {
  if (performance.now() - lastChunk < stallMs) return;
  console.error(
    `\nFAILED: no token for ${stallMs / 1000} s; these requests are lost: ${[...pending.keys()].join(", ")}`,
  );
  console.error(llm.stats());
  process.exit(1);
}

function report(): void {
  checkIntegrity();
  const { preemptions, prefix, running, waiting, usedPages, stepsInFlight, steps } = llm.stats();
  for (const [name, left] of Object.entries({ running, waiting, usedPages, stepsInFlight })) {
    if (left !== 0) problems.push(`${name} is ${left} at the end`);
  }
  const { slope, uncertainty, samples: fitted } = memoryTrend(samples, total / 2);
  if (slope - uncertainty > growthLimit)
    problems.push(`memory grows by ${slope.toFixed(1)} MB per 1000 requests`);
  const reasons = [...ends].sort().map(([end, times]) => `${end} ${times}`);
  const sum = [...ends.values()].reduce((all, times) => all + times, 0);
  if (sum !== total && problems.length === 0) problems.push(`${sum} of ${total} requests ended`);
  console.log(`
ended: ${reasons.join(", ")} (in all ${sum} of ${total})
steps ${steps}, tokens ${tokens}, preemptions ${preemptions}, prefix hit tokens ${prefix.hits}
RSS slope ${slope.toFixed(2)} +- ${uncertainty.toFixed(2)} MB per 1000 requests (${fitted} samples of the second half; limit ${growthLimit})
longest event-loop block ${longestBlock.toFixed(1)} ms
integrity: ${problems.length === 0 ? "clean" : "see below"}`);
  for (const problem of problems.slice(0, 20)) console.log(`FAILED: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
