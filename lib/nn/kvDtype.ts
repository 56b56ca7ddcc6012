/**
 * In which dtype keys and values are kept: option `kvDtype` of a load.
 */
import type { FloatDType, KvDType } from "../device/dtype.js";
import { ArgumentRangeError } from "../errors.js";
import type { StateSpec } from "./state.js";

/** `kvDtype` of the load options: a float, or codes of 8 bits with factors for each token. "auto": as activations. */
export type KvDTypeOption = "auto" | FloatDType | "fp8" | "int8";

export const kvDtypeOptions: readonly KvDTypeOption[] = ["auto", "f32", "bf16", "f16", "fp8", "int8"];

/** @param dtype of activations */
export function kvDtypeOf(option: KvDTypeOption, dtype: FloatDType): KvDType {
  if (option === "auto") return dtype;
  if (option === "fp8") return "fp8e4m3";
  return option === "int8" ? "i8" : option;
}

/**
 * Refuses an option that asks for a dtype of a model without pages, so that it is never ignored.
 * @throws ArgumentRangeError
 */
export function checkKvDtype(option: KvDTypeOption, state: readonly StateSpec[]): void {
  if (option === "auto" || state.some(({ lifetime }) => lifetime !== "slot")) return;
  const message = `kvDtype: "${option}" was asked for, but this model keeps a state for each sequence and no keys and values`;
  throw new ArgumentRangeError(message);
}
