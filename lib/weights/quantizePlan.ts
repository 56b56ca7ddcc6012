/**
 * Which matrices of floats a load makes codes of, and which codes. By the rule of `quantize` of the load options:
 *
 * - Products with a weight have codes: projections, feed-forward parts, experts. Groups have 128 inputs, or 64 or 32 where these divide
 *   what a row has; a matrix whose rows none of them divides stays as it is. fp8 has one scale for each row.
 * - A head has codes of 8 bits, with its embedding if it is tied to it; with fp8 it stays as it is.
 * - All else stays as it is: embeddings, routers and what else chooses (`quantized` of a row), norms, biases, convolutions, the matrices of
 *   each head of MLA, and what the checkpoint has in codes already.
 *
 * Source of what is sensitive: llama.cpp's llama-quant.cpp, and the `ignore` lists of LLM Compressor's recipes.
 */
import type { Device } from "../device/device.js";
import { ArgumentRangeError } from "../errors.js";
import type { MadeCodes } from "./codedMatrix.js";
import type { ModelWeightRow, WeightForm } from "./modelWeights.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** `quantize` of the load options. */
export const quantizeOptions = ["int8", "int4", "fp8"] as const;
export type QuantizeOption = (typeof quantizeOptions)[number];

const storedFormatOf = { int8: "int8", int4: "packed4", fp8: "fp8" } as const;
const groupSizes: readonly number[] = [128, 64, 32];

/** @returns undefined: rows of so many inputs stay as they are */
export function madeCodes(option: QuantizeOption, inputs: number): MadeCodes | undefined {
  const group = option === "fp8" ? 0 : groupSizes.find((size) => inputs % size === 0);
  return group === undefined ? undefined : { format: storedFormatOf[option], group };
}

const products: ReadonlySet<WeightForm> = new Set(["linear", "gatedLinear", "experts", "gatedExperts"]);

/** What becomes of the matrices of a row of a table; undefined: they stay as they are. */
export function quantizedAs(
  option: QuantizeOption,
  { form, quantized }: Pick<ModelWeightRow, "form" | "quantized">,
): QuantizeOption | undefined {
  if (!products.has(form) || quantized === "never") return undefined;
  if (quantized === undefined) return option;
  return option === "fp8" ? undefined : quantized;
}

/**
 * @param rows of the table that the plan was made of
 * @returns the plan, with what is to be made of its parts
 * @throws ArgumentRangeError if the device multiplies no such codes, or nothing of the model can have them
 */
export function quantizePlan(
  plan: readonly PlannedWeight[],
  rows: readonly ModelWeightRow[],
  {
    option,
    device,
  }: { readonly option: QuantizeOption; readonly device: Pick<Device, "weightFormats" | "name"> },
): readonly PlannedWeight[] {
  if (!device.weightFormats.includes(option)) {
    const formats = device.weightFormats.filter((name) => name !== "dense").join(", ") || "none";
    throw new ArgumentRangeError(
      `quantize: expected codes that device ${device.name} multiplies (${formats}), got "${option}"`,
    );
  }
  const rowOf = new Map(rows.map((row) => [row.slot, row]));
  const heads = plan.filter(({ tiedTo }) => tiedTo !== undefined);
  const asOf = ({ slot }: PlannedWeight): QuantizeOption | undefined => {
    const head = heads.find(({ tiedTo }) => tiedTo === slot);
    return quantizedAs(option, rowOf.get(head?.slot ?? slot)!);
  };
  const result = plan.map((weight) => {
    const as = asOf(weight);
    const made = as && madeCodes(as, weight.shape.at(-1)!);
    const make = (part: PlannedPart): PlannedPart => (part.coded ? part : { ...part, made });
    return made ? { ...weight, parts: weight.parts.map(make) } : weight;
  });
  const isMade = result.some(({ parts }) =>
    parts.some(({ made }) => made?.format === storedFormatOf[option]),
  );
  if (isMade) return result;
  throw new ArgumentRangeError(
    `quantize: no matrix of this model can be ${option}: its products have codes already, or rows that are no multiple of 32`,
  );
}
