/** `warploop info`: what a model is and what it takes here, from its config and the headers of its weights. */
import {
  Device,
  type DeviceName,
  inspectModel,
  loadText,
  type ModelInspection,
  WarploopError,
} from "../lib/index.js";
import { type ChatFormat, formatOf } from "../toolcalls/index.js";
import { type CommandDefinition, exit } from "./command.js";
import { count, parameters, size } from "./format.js";
import { onInterrupt } from "./interrupt.js";
import { loadOptionsOf, someLoadFlags } from "./loadOptions.js";
import { option } from "./optionValues.js";
import { facts, loadBar, print, printJson, styled, table } from "./terminal.js";

export const command: CommandDefinition = {
  usage: "<model>",
  about:
    "Says what a model is, how each part of it would be kept here, and how much memory that takes by the length of the context; or why " +
    "it cannot run. Reads configs and headers alone: of a model of the hub no weights are downloaded.",
  options: [
    ...someLoadFlags("quantize", "contextLength", "kvDtype", "device", "dtype", "activations", "revision"),
    option("--json", "one JSON object"),
  ],
  examples: [
    "info Qwen/Qwen3-0.6B",
    "info Qwen/Qwen3-8B --quantize int4 --kv-dtype int8 --context 32k",
    "info org/name:Q4_K_M",
    "info ./my-model --json | jq .weightBytes",
  ],
  async run([model = ""], parsed) {
    const isJson = parsed["json"] === true;
    try {
      const { found, format } = await inspected(model, parsed);
      const memory = await memoryOf(found.device as DeviceName);
      const toolFormat = format.syntax?.name ?? null;
      const reasoningFormat = format.reasoning?.name ?? null;
      if (isJson) printJson({ model, runs: true, ...found, toolFormat, reasoningFormat, memory });
      else show(model, found, format, memory);
      return exit.fine;
    } catch (error) {
      if (!isJson || !(error instanceof WarploopError)) throw error;
      printJson({ model, runs: false, code: error.code, reason: error.message });
      return exit.failed;
    }
  },
};

interface Inspected {
  readonly found: ModelInspection;
  readonly format: ChatFormat;
}

async function inspected(model: string, parsed: Readonly<Record<string, unknown>>): Promise<Inspected> {
  using interrupt = onInterrupt();
  const bar = loadBar();
  try {
    const options = { ...loadOptionsOf(parsed), onProgress: bar.onProgress, signal: interrupt.signal };
    const found = await inspectModel(model, options);
    const { revision, onProgress, signal } = options;
    await using text = await loadText(model, { revision, onProgress, signal });
    return { found, format: await formatOf(text) };
  } finally {
    bar.stop();
  }
}

interface DeviceMemory {
  readonly free: number;
  readonly total: number;
}

async function memoryOf(name: DeviceName): Promise<DeviceMemory> {
  await using device = Device.open(name);
  return device.memory;
}

function show(model: string, found: ModelInspection, format: ChatFormat, memory: DeviceMemory): void {
  const { architecture, device, dtype, maxPositions, trainedContext, longestContext } = found;
  const longest = longestContext > maxPositions ? `; --context up to ${longestContext}` : "";
  print(styled("bold", model));
  const rows = [
    ["family", architecture],
    ["shape", shapeText(found)],
    ["vocabulary", `${found.shape.vocabSize} tokens`],
    ["parameters", parameters(found.parameters)],
    ["context", `${maxPositions} tokens (trained for ${trainedContext}${longest})`],
    ["runs on", `${device}, with activations in ${dtype}`],
    ["tool calls", callsText(format)],
  ] as const;
  for (const line of facts(rows)) print(line);
  print("");
  for (const [i, line] of partLines(found).entries()) print(i === 0 ? styled("dim", line) : line);
  print("");
  for (const [i, line] of cacheLines(found, memory).entries()) print(i === 0 ? styled("dim", line) : line);
}

/** How it writes calls, and thoughts beside them. */
function callsText({ syntax, reasoning, takesTools }: ChatFormat): string {
  if (!syntax) return "none: its chat template says nothing of them";
  const untold = takesTools ? "" : "; its chat template does not tell it of tools";
  return `${syntax.name}${reasoning ? `, thoughts as ${reasoning.name}` : ""}${untold}`;
}

function shapeText({ shape }: ModelInspection): string {
  const { numLayers, hiddenSize, numHeads, numKvHeads, headDim, numExperts, expertsPerToken } = shape;
  const heads =
    numHeads > 0 ? [`${count(numHeads, "head")} of ${headDim} (${numKvHeads} of keys and values)`] : [];
  const experts = numExperts > 0 ? [`${numExperts} experts, ${expertsPerToken} for a token`] : [];
  return [`${count(numLayers, "layer")} of width ${hiddenSize}`, ...heads, ...experts].join(", ");
}

function partLines({ parts, ...all }: ModelInspection): string[] {
  const bits = (bytes: number, of: number) => ((8 * bytes) / of).toFixed(2);
  const rows = parts.map((part) => [
    part.count === 1 ? part.part : `${part.part} x ${part.count}`,
    part.activations === "int8" ? `${part.format}, bytes of activations` : part.format,
    parameters(part.parameters),
    size(part.bytes),
    bits(part.bytes, part.parameters),
  ]);
  const total = [
    ...["all", "", parameters(all.parameters), size(all.weightBytes)],
    bits(all.weightBytes, all.parameters),
  ];
  return table([["part", "kept as", "parameters", "memory", "bits"], ...rows, total], 2);
}

/** What a sequence of each length takes, and whether there is room for it beside the weights. */
function cacheLines(
  { cache, weightBytes, kvDtype }: ModelInspection,
  { free, total }: DeviceMemory,
): string[] {
  const room = (bytes: number) => (bytes > total ? "more than there is" : bytes > free ? "not now" : "yes");
  const rows = cache.map(({ tokens, bytes }) => [
    ...[String(tokens), size(bytes), size(weightBytes + bytes), room(weightBytes + bytes)],
  ]);
  const heading = ["context", `cache (${kvDtype})`, "with weights", `fits in ${size(free)} free`];
  return table([heading, ...rows], 0);
}
