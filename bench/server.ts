/**
 * Load on the server: clients that ask again and again for a stream over HTTP, some of which leave in the middle. Checks that none
 * that stays is lost, cut short or refused, and that nothing runs and no page is held at the end; says how long first and further
 * tokens took for the clients, and how long the server's event loop was kept from turning, beside the same loop without requests while as
 * many processes are busy as the device has threads.
 *
 *     npm run bench:server -- [--clients 200] [--seconds 300] [--model models/tiny-moe] [--leave 0.25] [--in-process] [--seed 1]
 *
 * --in-process: the engine runs in the server's process. Exit code 1 when a request is lost, or something is left.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { benchArgs } from "./support/benchArgs.js";
import { Dice } from "./support/dice.js";
import type { LoopDelay } from "./support/loopDelay.js";
import { quantile } from "./support/statistics.js";
import { printTable } from "./support/table.js";

const values = benchArgs(import.meta.url, {
  clients: { type: "string", default: "200" },
  seconds: { type: "string", default: "300" },
  model: { type: "string", default: "models/tiny-moe" },
  leave: { type: "string", default: "0.25" },
  "in-process": { type: "boolean", default: false },
  seed: { type: "string", default: "1" },
});
const [clients, seconds, leave] = [Number(values.clients), Number(values.seconds), Number(values.leave)];
const controlSeconds = 5;
const sayEveryMs = 10_000;

const firstMs: number[] = [];
const nextMs: number[] = [];
const ends = new Map<string, number>();
const problems: string[] = [];

const server = startServer();
const [url] = (await once(server, "message")) as [string];
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
const idle = await delayOf(server, () => beBusy(os.availableParallelism(), controlSeconds * 1000));
const end = performance.now() + seconds * 1000;
const timer = setInterval(say, sayEveryMs);
const busy = await delayOf(server, () => Promise.all(Array.from({ length: clients }, (_, i) => work(i))));
clearInterval(timer);
await checkEmpty();
report();
server.kill();
process.exitCode = problems.length === 0 ? 0 : 1;

function startServer(): ChildProcess {
  const file = fileURLToPath(new URL("support/benchServer.ts", import.meta.url));
  const compiled = new URL("support/compiledLibrary.mjs", import.meta.url).href;
  const args = [values.model, ...(values["in-process"] ? ["in-process"] : [])];
  return fork(file, args, { execArgv: ["--import", "tsx", "--import", compiled] });
}

async function delayOf(child: ChildProcess, during: () => Promise<unknown>): Promise<LoopDelay> {
  child.send("begin");
  await during();
  const answer = once(child, "message") as Promise<[LoopDelay]>;
  child.send("end");
  return (await answer)[0];
}

async function work(client: number): Promise<void> {
  const dice = new Dice(Number(values.seed) * 1000 + client);
  while (performance.now() < end) count(await ask(dice).catch((error: Error) => `failed: ${error.message}`));
}

/** One request. @returns how it ended */
function ask(dice: Dice): Promise<string> {
  const length = dice.integer(8, 96);
  const leaveAfter = dice.chance(leave) ? dice.integer(0, length - 1) : Infinity;
  const prompt = `Once upon a time, ${dice.integer(0, 50)} foxes `.repeat(dice.integer(1, 12));
  const body = {
    model: "bench",
    prompt,
    max_tokens: length,
    ignore_eos: true,
    stream: true,
    temperature: 0.8,
  };
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    let [events, last, left] = [0, performance.now(), ""];
    const request = http.request(`${url}/v1/completions`, { method: "POST", agent, headers }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return resolve(`status ${response.statusCode}`);
      }
      let tail = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        const lines = (tail + text).split("\n\n");
        tail = lines.pop()!;
        for (const line of lines) {
          if (line.includes('"error"')) left = line;
          if (!/"text":"[^"]/.test(line)) continue;
          const now = performance.now();
          (events++ === 0 ? firstMs : nextMs).push(now - last);
          last = now;
        }
        left = lines.at(-1) ?? left;
        if (events > leaveAfter) {
          request.destroy();
          resolve("left");
        }
      });
      response.on("end", () => resolve(left === "data: [DONE]" ? "complete" : `cut short: ${left}`));
      response.on("error", reject);
    });
    request.on("error", (error) => (events > leaveAfter ? undefined : reject(error)));
    request.end(JSON.stringify(body));
  });
}

function count(how: string): void {
  ends.set(how, (ends.get(how) ?? 0) + 1);
  if (how !== "complete" && how !== "left" && problems.length < 10) problems.push(how);
}

function say(): void {
  console.error([...ends].map(([how, times]) => `${times} ${how}`).join(", "));
}

/** Within some seconds, since what was left ends with the step that is running. */
async function checkEmpty(): Promise<void> {
  const names = ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"];
  let found: string[] = [];
  for (let i = 0; i < 50; i++) {
    const text = await (await fetch(`${url}/metrics`)).text();
    found = names.flatMap((name) => new RegExp(`^vllm:${name}\\{.*\\} (?!0$).*$`, "m").exec(text) ?? []);
    if (found.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  problems.push(...found.map((line) => `at the end: ${line}`));
}

async function beBusy(processes: number, ms: number): Promise<void> {
  const script = fileURLToPath(new URL("support/spin.ts", import.meta.url));
  const spinning = Array.from({ length: processes }, () => fork(script));
  await new Promise((resolve) => setTimeout(resolve, ms));
  for (const child of spinning) child.kill();
}

function report(): void {
  say();
  const times = (name: string, ms: readonly number[]): string[] => [
    ...[name, `${ms.length}`],
    ...[0.5, 0.99, 1].map((share) => quantile(ms, share).toFixed(1)),
  ];
  printTable(
    ["seen by clients", "number", "p50 ms", "p99 ms", "longest ms"],
    [times("to the first token", firstMs), times("from token to token", nextMs)],
  );
  console.log("");
  const row = (name: string, { p99Ms, longestMs, longestCpuMs }: LoopDelay): string[] => [
    ...[name, p99Ms.toFixed(1), longestMs.toFixed(1), longestCpuMs?.toFixed(1) ?? ""],
  ];
  printTable(
    ["event loop of the server", "p99 ms", "longest ms", "in CPU time"],
    [
      row(`${clients} clients, ${seconds} s`, busy),
      row(`control: busy processes, ${controlSeconds} s`, idle),
    ],
  );
  for (const problem of problems) console.log(problem);
}
