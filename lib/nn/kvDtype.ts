/**
 * In which dtype keys and values are kept: option `kvDtype` of a load.
 */
import type { FloatDType, KvDType } from "../device/dtype.js";
import { ArgumentRangeError } from "../errors.js";
import type { StateSpec } from "./state.js";

/** `kvDtype` of the load options: a float, or codes of 8 bits with a factor for each head of each token. "auto": as activations. */
export type KvDTypeOption = "auto" | FloatDType | "fp8" | "int8";

export const kvDtypeOptions: readonly KvDTypeOption[] = ["auto", "f32", "bf16", "f16", "fp8", "int8"];

/** @param dtype of activations */
export function kvDtypeOf(option: KvDTypeOption, dtype: FloatDType): KvDType {
  if (option === "auto") return dtype;
  if (option === "fp8") return "fp8e4m3";
  return option === "int8" ? "i8" : option;
}

/**
 * Refuses a dtype that was asked for where a layer does not keep its pages in it, so that it is never ignored.
 * @throws ArgumentRangeError naming the layer, or a model without pages
 */
export function checkKvDtype(option: KvDTypeOption, dtype: KvDType, state: readonly StateSpec[]): void {
  if (option === "auto") return;
  const paged = [...state.entries()].filter(([, { lifetime }]) => lifetime !== "slot");
  if (paged.length === 0) {
    const message = `kvDtype: "${option}" was asked for, but this model keeps a state for each sequence and no keys and values`;
    throw new ArgumentRangeError(message);
  }
  for (const [layer, { tensors }] of paged) {
    if (Object.values(tensors).some((tensor) => tensor.dtype === dtype)) continue;
    const kept = Object.entries(tensors).map(([name, tensor]) => `${name} in ${tensor.dtype}`);
    throw new ArgumentRangeError(
      `kvDtype: "${option}" was asked for, but layer ${layer} keeps ${kept.join(" and ")}, whatever is asked for`,
    );
  }
}
