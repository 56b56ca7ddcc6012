/** Weights of codes for tests: empty ones, and random ones with the numbers that they hold. */
import type { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import { emptySegments, GroupedWeight, LinearWeight } from "../../lib/ops/linearWeight.js";
import type { DenseFormat, QuantizedFormat, WeightFormat } from "../../lib/ops/packLinear.js";
import type { StoredFormat } from "../../lib/ops/storedRows.js";
import { quantizedFormatOf } from "../../lib/ops/weightFormat.js";
import { packStored } from "../../lib/ops/packStored.js";
import { dequantised } from "../reference/storedFormats.js";
import type { OpContext, TestDevice } from "./devices.js";
import { Random } from "./random.js";
import { type RandomStored, randomStored, storedOnDevice, type StoredOptions } from "./storedRows.js";

/** Why cases whose activations become bytes do not run on a GPU. */
export const bytesOnCpu: Partial<Readonly<Record<TestDevice, string>>> = {
  simt: "a GPU has no kernels for activations of int8",
  cuda: "a GPU has no kernels for activations of int8",
};

/** What is not said: one scale of f32 for each row. */
type Some = DenseFormat | (Partial<QuantizedFormat> & Pick<QuantizedFormat, "format">);
const complete = (of: Some): WeightFormat =>
  of.format === "dense"
    ? of
    : { dtype: "u8", group: 0, scale: "f32", offset: "none", activation: "float", ...of };

/** Room for a matrix [N, K]. */
export function quantizedWeight(
  device: Device,
  format: Some,
  N: number,
  K: number,
  swiglu = false,
): LinearWeight {
  const shape = { experts: 1, inputs: K, swiglu };
  return new LinearWeight(
    shape,
    emptySegments(device, shape, [{ name: "weight", outputs: N, format: complete(format) }]),
  );
}

/** Room for E such matrices. */
export function quantizedGroup(
  device: Device,
  format: Some,
  {
    E,
    N,
    K,
    swiglu = false,
  }: { readonly E: number; readonly N: number; readonly K: number; readonly swiglu?: boolean },
): GroupedWeight {
  const shape = { experts: E, inputs: K, swiglu };
  return new GroupedWeight(
    shape,
    emptySegments(device, shape, [{ name: "weight", outputs: N, format: complete(format) }]),
  );
}

/** The format that keeps a stored matrix as it is. */
export function formatOf(m: RandomStored): QuantizedFormat {
  return quantizedFormatOf(m.format as StoredFormat, {
    group: m.group >= m.K ? 0 : m.group,
    scale: m.scaleDType === "u8" ? "f32" : m.scaleDType,
    zeros: m.zeros !== undefined,
  });
}

/** The kinds of codes, scales and offsets that products meet, as they are stored; K is a multiple of `step`. */
export const codeKinds: readonly (Omit<StoredOptions, "N" | "K"> & {
  readonly name: string;
  readonly step: number;
})[] = [
  { name: "int8 by rows", format: "int8", step: 1 },
  { name: "int8 in groups, zeros", format: "int8", group: 32, zeros: true, scale: "bf16", step: 1 },
  { name: "q8_0", format: "q8_0", step: 32 },
  { name: "q5_1", format: "q5_1", step: 32 },
  { name: "q6_k", format: "q6_k", step: 256 },
  { name: "int4 in groups of 128", format: "packed4", group: 128, scale: "bf16", step: 1 },
  { name: "int4 in groups, zeros", format: "packed4", group: 32, zeros: true, scale: "f16", step: 1 },
  { name: "int4 by rows", format: "packed4", step: 1 },
  { name: "q4_0", format: "q4_0", step: 32 },
  { name: "q4_1", format: "q4_1", step: 32 },
  { name: "q4_k", format: "q4_k", step: 256 },
  { name: "q5_k", format: "q5_k", step: 256 },
  { name: "mxfp4", format: "mxfp4", step: 32 },
  { name: "fp8 by rows", format: "fp8", scale: "bf16", step: 1 },
  { name: "fp8 in blocks", format: "fp8", group: 128, scaleRows: 128, step: 1 },
];

/** Products of many rows make numbers of x's dtype of the codes on a GPU; on the CPU they are exact. */
export function roundedOn(
  { device }: OpContext,
  x: FloatDType,
): { readonly intermediate?: FloatDType; readonly ops?: number } {
  return device.kind === "cpu" ? {} : { intermediate: x, ops: 2 };
}

export interface FilledWeight<W extends LinearWeight> {
  readonly weight: W;
  /** What it holds, [N, K] or [E, N, K]. */
  readonly values: Float64Array;
}

/** A matrix of random codes for each of `parts`, rows below one another; each kind is a segment. */
export function randomCodes(
  context: OpContext,
  parts: readonly StoredOptions[],
  {
    swiglu = false,
    seed = 1,
    activation = "float",
  }: {
    readonly swiglu?: boolean;
    readonly seed?: number;
    readonly activation?: QuantizedFormat["activation"];
  } = {},
): FilledWeight<LinearWeight> {
  const random = new Random(seed);
  const matrices = parts.map((part) => randomStored(part, random));
  const inputs = matrices[0]!.K;
  const plans = matrices.map((m, i) => ({
    name: `part ${i}`,
    outputs: m.N,
    format: { ...formatOf(m), activation },
  }));
  const segments = emptySegments(context.device, { experts: 1, inputs, swiglu }, plans);
  const weight = new LinearWeight({ inputs, swiglu }, segments);
  let first = 0;
  for (const matrix of matrices) {
    packStored(context.stream, storedOnDevice(context, matrix), weight, { first });
    first += matrix.N;
  }
  return { weight, values: Float64Array.from(matrices.flatMap((m) => [...dequantised(m)])) };
}

/** E such matrices of one kind. */
export function randomCodeGroup(
  context: OpContext,
  options: StoredOptions & {
    readonly E: number;
    readonly swiglu?: boolean;
    readonly activation?: QuantizedFormat["activation"];
  },
): FilledWeight<GroupedWeight> {
  const random = new Random(2);
  const { E, N, K, swiglu = false, activation = "float" } = options;
  const matrices = Array.from({ length: E }, () => randomStored(options, random));
  const weight = quantizedGroup(
    context.device,
    { ...formatOf(matrices[0]!), activation },
    { E, N, K, swiglu },
  );
  for (const [expert, matrix] of matrices.entries())
    packStored(context.stream, storedOnDevice(context, matrix), weight, { expert });
  return { weight, values: Float64Array.from(matrices.flatMap((m) => [...dequantised(m)])) };
}
