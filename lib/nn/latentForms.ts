/**
 * In which of its two forms latent attention (mla.ts) runs each sequence of a step: with the matrices of keys and values absorbed, or with
 * keys and values of every head made from the latents of its context (up-projected). Sequences that lie side by side and have one form
 * are a piece of the step. docs/kernels/mla_attention.md, "Prompts", derives the rule.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tableGather } from "../ops/tableGather.js";
import type { HostSequence, StepInputs } from "./step.js";

export interface LatentWidths {
  /** Dn, of the part of queries and keys that is not rotated. */
  readonly plainDim: number;
  /** Dv */
  readonly valueDim: number;
  /** R, numbers of a latent. */
  readonly rank: number;
}

export interface LatentShape extends LatentWidths {
  /** H */
  readonly numHeads: number;
  /** Dr, of the part of queries and keys that is rotated. */
  readonly rotatedDim: number;
  /** Of activations. */
  readonly dtype: FloatDType;
  /** Factor on the products of queries and keys. */
  readonly scale: number;
  /** Memory for latents, keys and values that are up-projected at once: of fewer heads where contexts are long. Default 512 MiB. */
  readonly upProjectedBytes?: number | undefined;
}

/**
 * Whether up-projection takes fewer products. It makes the cached latents wide again, c R (Dn + Dv) for each head, and saves 2 R - Dn - Dv
 * with each query and key that it sees.
 *
 * @param n new tokens of the sequence, behind c that are cached
 */
export function upProjectionIsCheaper(
  { plainDim, valueDim, rank }: LatentWidths,
  n: number,
  c: number,
): boolean {
  const pairs = n * c + (n * (n + 1)) / 2;
  return c * rank * (plainDim + valueDim) < pairs * (2 * rank - plainDim - valueDim);
}

/** Tokens [first, end) of a step, whole sequences in one form. */
interface PieceRange {
  readonly first: number;
  readonly end: number;
  /** [B + 1] of these tokens and sequences */
  readonly cuSeqlensQ: Tensor;
}

/** As `mlaAttention` takes them. */
export interface AbsorbedPiece extends PieceRange {
  readonly form: "absorbed";
  /** [B] */
  readonly rows: Tensor;
  /** [B] */
  readonly contextLens: Tensor;
  readonly maxQueries: number | undefined;
  /** What `attentionPlan` has made for it; left out: each call makes one of its own. */
  readonly plan?: Tensor | undefined;
}

/** Of sequences whose contexts stand in rows one behind the other, each in whole pages. */
export interface UpProjectedPiece extends PieceRange {
  readonly form: "upProjected";
  /** [N] the pages of the contexts */
  readonly pages: Tensor;
  /** [B + 1] of these rows, as `flashAttention` takes them: what lies behind a context is a sequence without queries */
  readonly cuSeqlensK: Tensor;
}

export type LatentPiece = AbsorbedPiece | UpProjectedPiece;

/** What a piece is given of its tokens, in either form. */
export interface PieceCall {
  /** [n, H, Dn] */
  readonly plain: Tensor;
  /** [n, H, Dr], rotated */
  readonly rotated: Tensor;
  /** [P, Ps, R + Dr] */
  readonly latentPages: Tensor;
  /** [n, H, Dv] where to write */
  readonly out: Tensor;
}

export interface PieceRules {
  readonly isUpProjected: (sequence: HostSequence) => boolean;
  /** A piece that is up-projected has no more rows. Sequences that have more by themselves are absorbed. */
  readonly mostRows: number;
}

/** All of a step, absorbed. */
export function wholeStep({
  tokens,
  rows,
  cuSeqlensQ,
  contextLens,
  maxQueries,
}: Pick<StepInputs, "tokens" | "rows" | "cuSeqlensQ" | "contextLens" | "maxQueries">): AbsorbedPiece {
  return { form: "absorbed", first: 0, end: tokens.size(0), rows, cuSeqlensQ, contextLens, maxQueries };
}

/** Where latents lie. */
interface Pages {
  /** [R, W] */
  readonly pageTable: Tensor;
  readonly pageSize: number;
}

/** The pieces of a step, in the order of its tokens. A sequence's form follows from itself alone. */
export function latentPieces(
  stream: Stream,
  inputs: StepInputs,
  { isUpProjected, mostRows, ...paged }: PieceRules & Pages,
): readonly LatentPiece[] {
  const { sequences } = inputs;
  const rowsOf = ({ start, count }: HostSequence): number =>
    Math.ceil((start + count) / paged.pageSize) * paged.pageSize;
  const isUp = (one: HostSequence): boolean => rowsOf(one) <= mostRows && isUpProjected(one);
  if (!sequences?.some(isUp)) return [wholeStep(inputs)];
  const pieces: LatentPiece[] = [];
  let [sequence, token] = [0, 0];
  while (sequence < sequences.length) {
    const up = isUp(sequences[sequence]!);
    const first = sequence;
    for (let rows = 0; sequence < sequences.length && isUp(sequences[sequence]!) === up; sequence++) {
      rows += rowsOf(sequences[sequence]!);
      if (up && rows > mostRows) break;
    }
    const own = sequences.slice(first, sequence);
    const range = { first: token, end: (token += sum(own.map(({ count }) => count))) };
    pieces.push(
      up
        ? upProjectedPiece(stream, range, own, paged)
        : absorbedPiece(stream, range, own, { inputs, first, end: sequence }),
    );
  }
  return pieces;
}

type Range = Pick<PieceRange, "first" | "end">;

function absorbedPiece(
  stream: Stream,
  range: Range,
  sequences: readonly HostSequence[],
  { inputs, first, end }: { readonly inputs: StepInputs } & Range,
): AbsorbedPiece {
  const counts = sequences.map(({ count }) => count);
  return {
    ...{ form: "absorbed", ...range },
    rows: inputs.rows.slice(0, first, end),
    contextLens: inputs.contextLens.slice(0, first, end),
    cuSeqlensQ: i32(stream, starts(counts)),
    maxQueries: Math.max(...counts),
  };
}

function upProjectedPiece(
  stream: Stream,
  range: Range,
  sequences: readonly HostSequence[],
  { pageTable, pageSize }: Pages,
): UpProjectedPiece {
  const [rows, columns, queries, keys]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (const [index, { row, start, count }] of sequences.entries()) {
    const length = start + count;
    const pages = Math.ceil(length / pageSize);
    for (let page = 0; page < pages; page++) {
      rows.push(row);
      columns.push(page);
    }
    queries.push(count);
    keys.push(length);
    if (length === pages * pageSize || index === sequences.length - 1) continue; // nothing, or nobody, comes behind
    queries.push(0);
    keys.push(pages * pageSize - length);
  }
  const pages = tableGather(stream, pageTable, i32(stream, rows), i32(stream, columns));
  const [cuSeqlensQ, cuSeqlensK] = [i32(stream, starts(queries)), i32(stream, starts(keys))];
  return { form: "upProjected", ...range, pages, cuSeqlensQ, cuSeqlensK };
}

function i32(stream: Stream, values: readonly number[]): Tensor {
  return stream.fromArray("i32", [values.length], Int32Array.from(values));
}

/** Where things of these sizes begin, one behind the other, and where the last ends. */
function starts(sizes: readonly number[]): number[] {
  let end = 0;
  return [0, ...sizes.map((size) => (end += size))];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
