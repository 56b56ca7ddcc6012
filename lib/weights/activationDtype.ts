/**
 * In which dtype a model computes, and in which its matrices are kept.
 */
import type { Device } from "../device/device.js";
import type { FloatDType } from "../device/dtype.js";
import { ArgumentTypeError } from "../errors.js";
import type { WeightForm } from "./modelWeights.js";
import type { PlannedWeight } from "./weightMap.js";

/** `activations` of the load options. */
export const activationsOptions = ["auto", "int8", "float"] as const;
export type ActivationsOption = (typeof activationsOptions)[number];

/** `dtype` of the load options. */
export type DTypeOption = "auto" | FloatDType;

const dtypeOptions: readonly DTypeOption[] = ["auto", "f32", "bf16", "f16"];

/**
 * The dtype of activations and KV pages. "auto": that of the checkpoint where the device multiplies it in
 * hardware (bf16 with AVX512-BF16, bf16 and f16 on a GPU), and f32 everywhere else: a CPU would only convert back and forth.
 *
 * @param stored dtype of most of the checkpoint's matrices
 * @throws ArgumentTypeError for an unknown option
 */
export function activationDtype(option: DTypeOption, stored: FloatDType, device: Device): FloatDType {
  if (!dtypeOptions.includes(option)) {
    const names = dtypeOptions.map((name) => JSON.stringify(name)).join(", ");
    throw new ArgumentTypeError(`dtype: expected one of ${names}, got ${JSON.stringify(option)}`);
  }
  if (option !== "auto") return option;
  return device.fastDtypes.includes(stored) ? stored : "f32";
}

/**
 * The dtype in which a matrix is packed: as stored under f32 activations; else that of the activations, because `linear`
 * takes activations in f32 or in the dtype of its weight.
 */
export function matrixDtype(activations: FloatDType, stored: FloatDType): FloatDType {
  return activations === "f32" ? stored : activations;
}

/** Dtype of most bytes of the matrices that are floats: what the checkpoint is said to be in; without any bf16, in which all codes are exact. */
export function storedDtype(
  plan: readonly PlannedWeight[],
  forms: ReadonlyMap<string, WeightForm>,
): FloatDType {
  const bytes = { f32: 0, bf16: 0, f16: 0 };
  for (const { slot, parts } of plan) {
    const form = forms.get(slot);
    if (form === "vector" || form === "expertVectors") continue;
    for (const { dtype, stored, coded } of parts) if (!coded) bytes[dtype] += stored.bytes;
  }
  const most = Math.max(...Object.values(bytes));
  return most === 0 ? "bf16" : (Object.keys(bytes) as FloatDType[]).find((dtype) => bytes[dtype] === most)!;
}
