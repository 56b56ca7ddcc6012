/**
 * How long `LLM.load` takes and how much memory it needs at its peak, each time in a process of its own, forms of weights in turns; the files are in
 * the page cache. Without a folder: random weights of 1.5 GB in bf16.
 *
 *     npm run bench:load -- [--model models/tiny-moe] [--quantize none,int8,int4,fp8] [--rounds 3]
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LLM } from "../lib/index.js";
import type { QuantizeOption } from "../lib/weights/quantizePlan.js";
import { benchArgs } from "./support/benchArgs.js";
import { randomCheckpoint } from "./support/randomCheckpoint.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";

const values = benchArgs(import.meta.url, {
  model: { type: "string" },
  quantize: { type: "string", default: "none,int8,int4,fp8" },
  rounds: { type: "string", default: "3" },
  child: { type: "string" }, // how it calls itself
});

interface Run {
  readonly seconds: number;
  readonly weightBytes: number;
  readonly peakBytes: number;
}

if (values.child) await loadOnce(values.model!, values.child);
else compare(values.model ?? randomCheckpoint("qwen3-0.6b", { numLayers: 48 }));

async function loadOnce(folder: string, form: string): Promise<void> {
  const start = performance.now();
  const llm = await LLM.load(folder, {
    ...{ device: "cpu", contextLength: 128, kvCacheBytes: 64 << 20 },
    ...(form !== "none" && { quantize: form as QuantizeOption }),
  });
  const seconds = (performance.now() - start) / 1000;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const { weightBytes } = llm.shape;
  await llm.close();
  console.log(JSON.stringify({ seconds, weightBytes, peakBytes } satisfies Run));
}

function runOf(folder: string, form: string): Run {
  const args = ["--import", "tsx", fileURLToPath(import.meta.url), "--child", form, "--model", folder];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Run;
}

function compare(folder: string): void {
  const forms = values.quantize.split(",");
  const runs = forms.map((): Run[] => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [i, form] of forms.entries()) runs[i]!.push(runOf(folder, form));
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const rows = forms.map((form, i) => {
    const { weightBytes } = runs[i]![0]!;
    const peak = Math.max(...runs[i]!.map(({ peakBytes }) => peakBytes));
    const seconds = runs[i]!.map((run) => run.seconds);
    const ratio = median(seconds.map((each, round) => each / runs[0]![round]!.seconds));
    return [
      ...[form, megabytes(weightBytes), megabytes(peak), megabytes(peak - weightBytes)],
      ...[median(seconds).toFixed(2), ratio.toFixed(2)],
    ];
  });
  console.log(folder);
  printTable(
    ["quantize", "weights MiB", "peak RSS MiB", "beside weights", "seconds", `of ${forms[0]}`],
    rows,
  );
}
