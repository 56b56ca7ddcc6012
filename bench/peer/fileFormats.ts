/**
 * In which types of blocks the matrices of a random file are, by the name of its format: one type for all, but for the head, as files of
 * llama.cpp have it. Its mixtures (Q4_K_M gives some matrices more bits) lie between two of these.
 *
 * Source: llama.cpp's llama-quant.cpp, llama_tensor_get_type_impl and tensor_type_fallback; llama.h, llama_ftype.
 */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { QuantizeOption } from "../../lib/index.js";
import type { GgufSource } from "./families/sources.js";
import { blockInputs, type BlockType, isBlockType } from "./randomBlocks.js";

export type MatrixType = FloatDType | BlockType;

export interface FileFormat {
  readonly matrices: MatrixType;
  /** Of the head, and of the embedding where that is the head. */
  readonly head: MatrixType;
  /** The number that the file has for it. */
  readonly fileType: number;
}

export const fileFormats = {
  bf16: { matrices: "bf16", head: "bf16", fileType: 32 },
  f16: { matrices: "f16", head: "f16", fileType: 1 },
  q8_0: { matrices: "q8_0", head: "q8_0", fileType: 7 },
  q6_k: { matrices: "q6_k", head: "q6_k", fileType: 18 },
  q5_k: { matrices: "q5_k", head: "q6_k", fileType: 16 },
  q5_1: { matrices: "q5_1", head: "q6_k", fileType: 9 },
  q5_0: { matrices: "q5_0", head: "q6_k", fileType: 8 },
  q4_k: { matrices: "q4_k", head: "q6_k", fileType: 14 },
  q4_1: { matrices: "q4_1", head: "q6_k", fileType: 3 },
  q4_0: { matrices: "q4_0", head: "q6_k", fileType: 2 },
  mxfp4: { matrices: "mxfp4_gguf", head: "q8_0", fileType: 38 },
} as const satisfies Record<string, FileFormat>;

export type FileFormatName = keyof typeof fileFormats;

/** What both sides load, and as what we quantise what is in our file. */
export interface ComparedFiles {
  readonly ours: FileFormatName;
  readonly theirs: FileFormatName;
  readonly quantize?: QuantizeOption;
}

const sameFiles = Object.keys(fileFormats).map((name) => {
  const format = name as FileFormatName;
  return [format, { ours: format, theirs: format }] as const;
});

/** By the names that --format knows: the same file on both sides, or floats that we quantise beside the peer's type of as many bits. */
export const comparedFiles: ReadonlyMap<string, ComparedFiles> = new Map<string, ComparedFiles>([
  ...sameFiles,
  ["int8", { ours: "bf16", theirs: "q8_0", quantize: "int8" }],
  ["int4", { ours: "bf16", theirs: "q4_0", quantize: "int4" }],
]);

/** The formats of "f16,q4_0,int4", in that order. @throws Error for a name that there is not */
export function parseFormats(text: string): string[] {
  return text.split(",").map((name) => {
    if (!comparedFiles.has(name))
      throw new Error(
        `--format: expected a list of ${[...comparedFiles.keys()].join(", ")}, got ${JSON.stringify(name)}`,
      );
    return name;
  });
}

/** What takes the place of blocks of 256 where a row has no whole number of them. */
const ofOddRows: Partial<Record<MatrixType, BlockType>> = { q4_k: "q5_0", q5_k: "q5_1", q6_k: "q8_0" };

/**
 * The type of a tensor: of what is small f32, as in every file.
 *
 * @param isTied whether the head is the embedding
 */
export function matrixType(
  { name, shape, dtype }: Pick<GgufSource, "name" | "shape" | "dtype">,
  { matrices, head }: FileFormat,
  isTied: boolean,
): MatrixType {
  if (dtype === "f32") return "f32";
  const type = name === (isTied ? "token_embd.weight" : "output.weight") ? head : matrices;
  const columns = shape.at(-1)!;
  if (!isBlockType(type) || columns % blockInputs(type) === 0) return type;
  const other = ofOddRows[type];
  if (other !== undefined && columns % blockInputs(other) === 0) return other;
  throw new RangeError(`${name}: there are no rows of ${columns} in ${type}`);
}
