/**
 * What a decode step consists of, from a trace of the engine's own runner: launches per layer of a Qwen3 and of a Qwen3-MoE
 * model, launches and bytes of the whole step. Counts, not times: they depend on the device and on nothing else.
 *
 *     npm run bench:layers -- [--device cpu] [--sequences 1,8] [--why]
 *     WARPLOOP_BINARY=build-simt/Release/warploop.node npm run bench:layers -- --device simt    the kernels of a GPU, counted on a CPU
 *
 * --why   also the kernels that ops passed over, with their reasons
 */
import type { DeviceName } from "../lib/device/device.js";
import type { TraceRow } from "../lib/device/trace.js";
import { goldenFolder } from "../test/support/goldenFolder.js";
import { benchArgs } from "./support/benchArgs.js";
import { ModelSteps } from "./support/modelSteps.js";
import { repeatedPart } from "./support/repeatedPart.js";
import { printTable } from "./support/table.js";

const values = benchArgs(import.meta.url, {
  device: { type: "string", default: "auto" },
  sequences: { type: "string", default: "1,8" },
  why: { type: "boolean", default: false },
});
/** `alike`: layers that are counted; default all. */
const models: readonly { readonly name: string; readonly folder: string; readonly alike?: number }[] = [
  { name: "Qwen3 (models/tiny-draft)", folder: "models/tiny-draft" },
  { name: "Qwen3-MoE (models/tiny-moe)", folder: "models/tiny-moe" },
  // Those with experts: the first has none.
  { name: "DeepSeek V2 (test/goldens/deepseek_v2)", folder: goldenFolder("deepseek_v2"), alike: 2 },
  { name: "DeepSeek V3 (test/goldens/deepseek_v3)", folder: goldenFolder("deepseek_v3"), alike: 2 },
];
const promptTokens = 40;
const numSteps = 4; // prefill, the first decode (captures the graph), its first replay on a GPU, the one that is traced

for (const model of models) {
  for (const sequences of values.sequences.split(",").map(Number)) {
    for (const temperature of [0, 0.7]) await report(model, sequences, temperature);
  }
}

async function report(
  { name, folder, alike }: (typeof models)[number],
  sequences: number,
  temperature: number,
): Promise<void> {
  const { rows, numLayers, device } = await decodeStep(folder, sequences, temperature);
  const isOp = ({ bytes }: TraceRow): boolean => bytes === 0;
  const ops = rows.filter(isOp);
  const { start, length } = repeatedPart(
    ops.map(({ op, kernel, launches }) => `${op}, ${kernel}, ${launches}`),
    alike ?? numLayers,
  );
  const layer = ops.slice(start, start + length);
  const launches = (some: readonly TraceRow[]): number => some.reduce((sum, row) => sum + row.launches, 0);
  const bytes = (op: string): string => {
    const copies = rows.filter((row) => row.op === op);
    const unit = `${op}${copies.length === 1 ? "" : "s"}`;
    return `${copies.reduce((sum, row) => sum + row.bytes, 0)} bytes in ${copies.length} ${unit}`;
  };
  console.log(
    `\n${name} on ${device}: a decode step of ${sequences}, ${temperature > 0 ? "sampled" : "greedy"}`,
  );
  console.log(`layer: ${layer.length} ops, ${launches(layer)} launches`);
  console.log(`step (${numLayers} layers): ${ops.length} ops, ${launches(ops)} launches`);
  console.log(`uploads: ${bytes("write")}; reads: ${bytes("read")}`);
  if (temperature > 0) return;
  printTable(
    ["op of a layer", "kernel", "launches"],
    layer.map((row) => [row.op, row.kernel, String(row.launches)]),
  );
  if (!values.why) return;
  const refused = unique(
    layer.flatMap((row) => row.refused.map(({ kernel, reason }) => [row.op, kernel, reason])),
  );
  console.log();
  if (refused.length > 0) printTable(["op of a layer", "passed over", "because"], refused);
  else console.log("nothing was passed over: each op has one kernel here");
}

function unique(rows: readonly string[][]): string[][] {
  return [...new Map(rows.map((row) => [row.join(), row])).values()];
}

/** The commands of a step in which every sequence decodes one token. */
async function decodeStep(folder: string, sequences: number, temperature: number) {
  await using steps = await ModelSteps.open(folder, {
    ...{ device: values.device as DeviceName, sequences, temperature },
  });
  for (let i = 0; i < sequences; i++) steps.add(promptTokens, numSteps + 1);
  for (let i = 1; i < numSteps; i++) await steps.step();
  const trace = steps.stream.trace();
  await steps.step();
  return { rows: await trace.end(), numLayers: steps.model.shape.numLayers, device: steps.device.name };
}
