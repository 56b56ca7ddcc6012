/**
 * Products by the format of their weight, beside those of bf16 weights, of dot products that do nothing else and of a plain read of memory:
 * a prompt's rows (T = 96, a weight that the caches hold), and one row whose weight comes from memory. All formats take turns, so that
 * ratios say something on a machine that others use, too.
 *
 *     npm run bench:weight-formats -- [--threads 1] [--turns 3] [--only bf16,q8_0,q4_0]
 *
 * --threads  default: one per physical core
 * --only     of bf16, f16, f32, int8, int8 in 128, q8_0, int4 in 128, q4_0, q4_k, q6_k, mxfp4, fp8; bf16 runs in any case
 */
import { Device } from "../lib/device/device.js";
import { byteLength, type FloatDType } from "../lib/device/dtype.js";
import type { Stream } from "../lib/device/stream.js";
import { linear } from "../lib/ops/linear.js";
import type { LinearWeight } from "../lib/ops/linearWeight.js";
import { packLinear } from "../lib/ops/packLinear.js";
import { benchArgs } from "./support/benchArgs.js";
import { measureReading } from "./support/ceilings.js";
import { codedKinds, filledCodes } from "./support/codedKinds.js";
import { measureDotPeak } from "./support/dotPeak.js";
import { filled } from "./support/inputs.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";
import { onStream, time } from "./support/timing.js";

const values = benchArgs(import.meta.url, {
  threads: { type: "string" },
  turns: { type: "string", default: "3" },
  only: { type: "string" },
});

/** A format, and what its products make of activations. */
interface Kind {
  readonly name: string;
  readonly activation: "float" | "int8";
  /** Of a weight and its scales. */
  readonly bits: number;
  /** [N, K] */
  readonly make: (stream: Stream, N: number) => LinearWeight;
}

const base = "bf16";
const floats = ["bf16", "f16", "f32"] as const satisfies readonly FloatDType[];
const K = 2048;
const sizes = [
  { T: 96, N: 4096 },
  { T: 1, N: 49_152 },
] as const;

const names = chosenNames();
const device = Device.open("cpu", values.threads === undefined ? {} : { threads: Number(values.threads) });
const x: FloatDType = device.fastDtypes.includes("bf16") ? "bf16" : "f32";
const kinds = kindsOf(names);
const [many, single] = [await timed(sizes[0]), await timed(sizes[1])];
report(many, single, measureDotPeak(device.threads, device.isa));
await device.dispose();

/** Names of --only, all of them without it. Floats that `x` does not meet are left out later. */
function chosenNames(): readonly string[] {
  const known: readonly string[] = [...floats, ...codedKinds.map(([name]) => name)];
  const names = values.only?.split(",") ?? known;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: there are ${known.join(", ")}`);
  return names;
}

function kindsOf(names: readonly string[]): Kind[] {
  // Activations are f32 or of the weight's dtype.
  const dense = floats.filter((dtype) => x === "f32" || dtype === x);
  const all = [
    ...dense.map((dtype): Kind => ({
      ...{ name: dtype, activation: "float", bits: 8 * byteLength(dtype, 1) },
      make: (stream, N) => packLinear(stream, filled(stream, dtype, [N, K])),
    })),
    ...codedKinds.flatMap(([name, format, bits]) =>
      (["float", "int8"] as const)
        .filter((activation) => activation === "float" || format.format !== "fp8")
        .map((activation): Kind => ({
          ...{ name, activation, bits },
          make: (stream, N) => filledCodes(stream, { ...format, activation }, N, K),
        })),
    ),
  ];
  return all.filter(({ name }) => name === base || names.includes(name));
}

interface Measured {
  /** GMAC/s of each kind, by turn. */
  readonly rates: readonly number[][];
  /** GB/s of a plain read after each turn. */
  readonly readings: readonly number[];
}

/** Every kind, in turns. */
function timed({ T, N }: (typeof sizes)[number]): Promise<Measured> {
  return onStream(device, async (stream) => {
    const input = filled(stream, x, [T, K]);
    const weights = kinds.map(({ make }) => make(stream, N));
    const rates: number[][] = kinds.map(() => []);
    const readings: number[] = [];
    for (let turn = 0; turn < Number(values.turns); turn++) {
      for (const [i, weight] of weights.entries()) {
        const { leastUs } = await time(stream, () => void linear(stream, input, weight));
        rates[i]!.push((T * N * K) / leastUs / 1000);
      }
      readings.push(await measureReading(device));
    }
    for (const weight of weights) weight.dispose();
    return { rates, readings };
  });
}

function report(many: Measured, single: Measured, peak: ReturnType<typeof measureDotPeak>): void {
  const { name, isa, threads } = device;
  console.log(
    `${name} (${isa}, ${threads} threads), activations ${x}, K=${K}, medians of ${values.turns} turns (range)`,
  );
  const dots =
    typeof peak === "string"
      ? peak
      : `dot products alone: ${peak.floats.toFixed(0)} GMAC/s of floats, ${peak.bytes.toFixed(0)} of bytes`;
  const reading = median([...many.readings, ...single.readings]);
  console.log(`${dots}; plain read: ${reading.toFixed(1)} GB/s\n`);
  const ofPeak = ({ activation }: Kind, rate: number): string => {
    if (typeof peak === "string") return "";
    return percent(rate / (activation === "int8" ? peak.bytes : peak.floats));
  };
  const [prompt, decode] = sizes.map(({ T, N }) => `T=${T} N=${N}`) as [string, string];
  printTable(
    ["weight", "x", "bits", prompt, "", "of dot", decode, "", "memory", "of plain"],
    [
      ["", "", "", "GMAC/s", `of ${base}`, "products", "GMAC/s", `of ${base}`, "GB/s", "read"],
      ...kinds.map((kind, i) => {
        const [prompts, decodes] = [median(many.rates[i]!), median(single.rates[i]!)];
        const bandwidth = (decodes * kind.bits) / 8;
        return [
          ...[kind.name, kind.activation === "int8" ? "int8" : x, kind.bits.toFixed(2)],
          ...[prompts.toFixed(1), ofBase(many, i), ofPeak(kind, prompts)],
          ...[decodes.toFixed(1), ofBase(single, i), bandwidth.toFixed(1), percent(bandwidth / reading)],
        ];
      }),
    ],
    2,
  );
}

/** "1.42 (1.40-1.47)" */
function ofBase({ rates }: Measured, index: number): string {
  const ofFloats = rates[kinds.findIndex(({ name }) => name === base)]!;
  const ratios = rates[index]!.map((rate, turn) => rate / ofFloats[turn]!);
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${median(ratios).toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
