/**
 * How long `LLM.load` takes and how much memory it needs at its peak, each time in a process of its own; the weights are in the page
 * cache. `npm run bench:load`, or with a folder: `npm run bench:load -- models/tiny-moe`.
 */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LLM } from "../lib/index.js";
import { randomCheckpoint } from "./support/randomCheckpoint.js";
import { median } from "./support/statistics.js";

const runs = 7;
const childMark = "--in-child";

interface Run {
  readonly seconds: number;
  readonly peakMb: number;
}

if (process.argv[2] === childMark) {
  const start = performance.now();
  const llm = await LLM.load(process.argv[3]!, { device: "cpu", contextLength: 256, kvCacheBytes: 64 << 20 });
  const seconds = (performance.now() - start) / 1000;
  const peakMb = process.resourceUsage().maxRSS / 1024;
  await llm.close();
  console.log(JSON.stringify({ seconds, peakMb } satisfies Run));
} else {
  const folder = process.argv[2] ?? randomCheckpoint("qwen3-0.6b");
  const megabytes = statSync(`${folder}/model.safetensors`).size / 2 ** 20;
  console.log(`${folder}: ${megabytes.toFixed(0)} MB of weights`);
  const results = Array.from({ length: runs }, () => {
    const args = ["--import", "tsx", fileURLToPath(import.meta.url), childMark, folder];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Run;
  });
  const seconds = results.map((run) => run.seconds);
  const row = (name: string, values: readonly number[], digits: number) =>
    console.log(
      `${name.padEnd(16)} min ${Math.min(...values).toFixed(digits)}, median ${median(values).toFixed(digits)}`,
    );
  row("seconds", seconds, 2);
  row(
    "MB per second",
    seconds.map((each) => megabytes / each),
    0,
  );
  row(
    "peak RSS, MB",
    results.map((run) => run.peakMb),
    0,
  );
}
