/**
 * Types of tensors in a GGUF file: how many bytes they take, and which of them run here. Quantised types are in blocks, of which a row
 * has a whole number; their names behind "blocks:" are those of `storedFormats` (lib/ops/storedRows.ts).
 *
 * Source: ggml's `enum ggml_type` and its block structs (ggml.h, ggml-common.h).
 */
import type { CheckpointDtype } from "../checkpoint/tensorFiles.js";

export interface TensorType {
  readonly name: string;
  /** Elements of a block, and its bytes. */
  readonly block: number;
  readonly bytes: number;
  /** Undefined: it does not run here. */
  readonly dtype?: CheckpointDtype;
}

const row = (name: string, block: number, bytes: number): TensorType => ({ name, block, bytes });

const types: ReadonlyMap<number, TensorType> = new Map([
  [0, { ...row("F32", 1, 4), dtype: "f32" }],
  [1, { ...row("F16", 1, 2), dtype: "f16" }],
  [2, { ...row("Q4_0", 32, 18), dtype: "blocks:q4_0" }],
  [3, { ...row("Q4_1", 32, 20), dtype: "blocks:q4_1" }],
  [6, { ...row("Q5_0", 32, 22), dtype: "blocks:q5_0" }],
  [7, { ...row("Q5_1", 32, 24), dtype: "blocks:q5_1" }],
  [8, { ...row("Q8_0", 32, 34), dtype: "blocks:q8_0" }],
  [9, row("Q8_1", 32, 36)],
  [10, row("Q2_K", 256, 84)],
  [11, row("Q3_K", 256, 110)],
  [12, { ...row("Q4_K", 256, 144), dtype: "blocks:q4_k" }],
  [13, { ...row("Q5_K", 256, 176), dtype: "blocks:q5_k" }],
  [14, { ...row("Q6_K", 256, 210), dtype: "blocks:q6_k" }],
  [15, row("Q8_K", 256, 292)],
  [16, row("IQ2_XXS", 256, 66)],
  [17, row("IQ2_XS", 256, 74)],
  [18, row("IQ3_XXS", 256, 98)],
  [19, row("IQ1_S", 256, 50)],
  [20, row("IQ4_NL", 32, 18)],
  [21, row("IQ3_S", 256, 110)],
  [22, row("IQ2_S", 256, 82)],
  [23, row("IQ4_XS", 256, 136)],
  [24, row("I8", 1, 1)],
  [25, row("I16", 1, 2)],
  [26, row("I32", 1, 4)],
  [27, row("I64", 1, 8)],
  [28, row("F64", 1, 8)],
  [29, row("IQ1_M", 256, 56)],
  [30, { ...row("BF16", 1, 2), dtype: "bf16" }],
  [34, row("TQ1_0", 256, 54)],
  [35, row("TQ2_0", 256, 66)],
  [39, { ...row("MXFP4", 32, 17), dtype: "blocks:mxfp4_gguf" }],
] as const);

/** Undefined for a number that no type has, or had once: its size is not known. */
export function tensorType(id: number): TensorType | undefined {
  return types.get(id);
}

export const tensorTypesThatRun: readonly string[] = [...types.values()].flatMap(({ name, dtype }) =>
  dtype ? [name] : [],
);
