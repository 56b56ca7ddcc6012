/** `warploop bench`: how fast a model is here, beside what the machine could do. */
import type { LLM } from "../lib/index.js";
import { inspectModel, type LLMOptions, type PartSummary } from "../lib/index.js";
import { measure, type Speeds, type Spread, spreadOf } from "./benchRun.js";
import { type CommandDefinition, exit } from "./command.js";
import { UsageError } from "./failure.js";
import { digits, duration, flops, size } from "./format.js";
import { onInterrupt } from "./interrupt.js";
import { type Limits, measureLimits } from "./limits.js";
import { loadLlm } from "./loadLlm.js";
import { loadOptionsOf, someLoadFlags } from "./loadOptions.js";
import { option, whole, wholes } from "./optionValues.js";
import { facts, note, print, printJson, styled, table } from "./terminal.js";

export const command: CommandDefinition = {
  usage: "<model>",
  about:
    "Measures how many tokens of a prompt and how many new ones a model does in a second, for several numbers of sequences at once: the " +
    "median of several runs, with their range. Beside them stands what this machine could do: how fast it reads memory, which bounds " +
    "decoding one sequence, and how fast it multiplies, which bounds prompts; both measured before and after.",
  options: [
    option("--prompt <tokens>", "of each sequence; default 512", whole),
    option("--tokens <n>", "new ones of each sequence; default 64", whole),
    option("--batch <list>", "sequences at once; default 1,2,4,8", wholes),
    option("--repeat <n>", "runs of each; default 3", whole),
    ...someLoadFlags("device", "threads", "quantize", "dtype", "activations", "kvDtype", "revision"),
    option("--json", "one JSON object"),
  ],
  examples: [
    "bench Qwen/Qwen3-0.6B",
    "bench Qwen/Qwen3-0.6B --quantize int4 --batch 1,16 --prompt 2k",
    "bench models/tiny-moe --json > speeds.json",
  ],
  async run([model = ""], parsed) {
    using interrupt = onInterrupt();
    const { signal } = interrupt;
    const plan = planOf(parsed);
    const load = { ...loadOptionsOf(parsed), signal };
    const weights = await weightsPerToken(model, load);
    const { llm, loadMs } = await loadLlm(model, {
      ...load,
      ...{
        contextLength: plan.promptTokens + plan.decodeTokens + 1,
        maxSequences: Math.max(...plan.batches),
      },
      prefixCache: false, // prompts are to be computed
    });
    try {
      const { device, isa, threads } = llm.stats();
      const before = await measureLimits(device as "cpu", threads);
      const rows = await measureAll(llm, plan, signal);
      const after = await measureLimits(device as "cpu", threads);
      const found = {
        model,
        device,
        isa,
        threads,
        loadMs,
        ...plan,
        weights,
        limits: best(before, after),
        rows,
      };
      if (parsed["json"]) printJson(found);
      else show(found);
      return exit.fine;
    } finally {
      await llm.close();
    }
  },
};

interface Plan {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly batches: readonly number[];
  readonly repeats: number;
}

function planOf(parsed: Readonly<Record<string, unknown>>): Plan {
  const {
    prompt = 512,
    tokens = 64,
    batch = [1, 2, 4, 8],
    repeat = 3,
  } = parsed as {
    readonly prompt?: number;
    readonly tokens?: number;
    readonly batch?: readonly number[];
    readonly repeat?: number;
  };
  const values = { "--prompt": [prompt], "--tokens": [tokens], "--batch": batch, "--repeat": [repeat] };
  for (const [flag, numbers] of Object.entries(values)) {
    const bad = numbers.find((number) => number < 1);
    if (bad !== undefined) throw new UsageError(`${flag}: expected at least 1, got ${bad}`);
  }
  return { promptTokens: prompt, decodeTokens: tokens, batches: batch, repeats: repeat };
}

/** What one token of one sequence has to do with the weights. */
interface TokenWeights {
  /** That are read. */
  readonly bytes: number;
  /** That are multiplied. */
  readonly parameters: number;
}

async function weightsPerToken(model: string, load: LLMOptions): Promise<TokenWeights> {
  const { threads: _, contextLength: __, ...options } = load;
  const { parts, shape } = await inspectModel(model, { ...options, onProgress: false });
  const isTied = parts.every(({ part }) => part !== "head");
  const share = ({ part }: PartSummary): number => {
    if (part.startsWith("experts")) return shape.expertsPerToken / shape.numExperts;
    return part === "embedding" && !isTied ? 0 : 1; // a row of it
  };
  const sum = (of: (part: PartSummary) => number) =>
    parts.reduce((all, part) => all + share(part) * of(part), 0);
  return { bytes: sum(({ bytes }) => bytes), parameters: sum(({ parameters }) => parameters) };
}

interface Row {
  readonly sequences: number;
  readonly prompt: Spread;
  readonly decode: Spread;
}

async function measureAll(llm: LLM, plan: Plan, signal: AbortSignal): Promise<Row[]> {
  const runs = new Map<number, Speeds[]>(plan.batches.map((sequences) => [sequences, []]));
  // In turns, so that what else the machine does meets all of them; the first turn only warms up.
  for (let repeat = 0; repeat <= plan.repeats; repeat++) {
    for (const [sequences, speeds] of runs) {
      const { promptTokens, decodeTokens } = plan;
      const found = await measure(llm, { sequences, promptTokens, decodeTokens }, { seed: repeat, signal });
      if (repeat > 0) speeds.push(found);
    }
    if (process.stderr.isTTY) note(`${repeat === 0 ? "warm" : `run ${repeat} of ${plan.repeats}`}`);
  }
  return [...runs].map(([sequences, speeds]) => ({
    sequences,
    prompt: spreadOf(speeds.map(({ prompt }) => prompt)),
    decode: spreadOf(speeds.map(({ decode }) => decode)),
  }));
}

function best(a: Limits, b: Limits): Limits {
  return {
    bytesPerSecond: Math.max(a.bytesPerSecond, b.bytesPerSecond),
    flopsPerSecond: Math.max(a.flopsPerSecond, b.flopsPerSecond),
  };
}

interface Found extends Plan {
  readonly model: string;
  readonly device: string;
  readonly isa: string;
  readonly threads: number;
  readonly loadMs: number;
  readonly weights: TokenWeights;
  readonly limits: Limits;
  readonly rows: readonly Row[];
}

function show(found: Found): void {
  const { model, device, isa, threads, loadMs, weights, limits, promptTokens, decodeTokens, repeats } = found;
  const { bytesPerSecond, flopsPerSecond } = limits;
  print(styled("bold", model));
  const of = threads > 0 ? `, ${threads} threads` : "";
  for (const line of facts([
    ["on", `${device} (${isa}${of}), loaded in ${duration(loadMs)}`],
    [
      "each",
      `${promptTokens} tokens of prompt, ${decodeTokens} new ones; median of ${repeats} runs, and their range`,
    ],
    ["reads", `${size(bytesPerSecond)}/s of memory; a token reads ${size(weights.bytes)} of weights`],
    ["multiplies", `${flops(flopsPerSecond)}/s in bf16; a token takes ${flops(2 * weights.parameters)}`],
  ]))
    print(line);
  print("");
  const range = ({ median, least, most }: Spread) => [digits(median), `${digits(least)}-${digits(most)}`];
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const rows = found.rows.map(({ sequences, prompt, decode }) => [
    ...[
      String(sequences),
      ...range(prompt),
      percent((prompt.median * 2 * weights.parameters) / flopsPerSecond),
    ],
    ...[...range(decode), sequences === 1 ? percent((decode.median * weights.bytes) / bytesPerSecond) : ""],
  ]);
  const heading = [
    "sequences",
    "prompt tokens/s",
    "range",
    "of multiplying",
    "new tokens/s",
    "range",
    "of reading",
  ];
  for (const [i, line] of table([heading, ...rows], 0).entries()) print(i === 0 ? styled("dim", line) : line);
}
