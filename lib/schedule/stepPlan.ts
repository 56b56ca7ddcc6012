/**
 * The arrays of one step, all in one Int32Array so that a step is one upload. Tokens, positions, slots and lengths are not
 * among them: `stepInputs` makes those on the device.
 *
 * Per sequence (B): rows, starts (-1: where the device stands), cuSeqlensQ [B+1]. Page table updates (U): updateRows (of the
 * tables of all groups, one behind the other; -1: no update), updateCols, updatePages. Logits (N): logitIndices, the tokens whose hidden state needs logits; the first S are
 * those that are sampled from. Samples (S): sampleRows (-1: no sample).
 *
 * "mixed" layouts have exact sizes. "decode" layouts have one token per sequence and are padded to a batch size that a
 * graph was captured for; their offsets depend on that size only. Padding runs in the dummy row.
 */
import { ArgumentRangeError } from "../errors.js";
import type { ScheduledStep } from "./scheduledStep.js";

/** In the order in which they lie in the data. */
const planFields = [
  "rows",
  "starts",
  "cuSeqlensQ",
  "updateRows",
  "updateCols",
  "updatePages",
  "logitIndices",
  "sampleRows",
] as const;

export type PlanField = (typeof planFields)[number];

/** Every field starts at a multiple of 4 elements (16 bytes), the widest vector load. */
const fieldAlignment = 4;

/** Where each array of a step lies. All numbers are int32 elements. */
export interface PlanLayout {
  readonly kind: "decode" | "mixed";
  readonly numTokens: number;
  readonly numSequences: number;
  readonly numUpdates: number;
  readonly numLogits: number;
  readonly numSamples: number;
  /** No sequence has more tokens than that. */
  readonly maxQueries: number;
  readonly offsets: Readonly<Record<PlanField, number>>;
  readonly sizes: Readonly<Record<PlanField, number>>;
  /** Size of the data. */
  readonly length: number;
}

type LayoutSizes = readonly [t: number, b: number, u: number, n: number, s: number];

/** Layout of a step that decodes up to `paddedSize` sequences, with so many page updates for each: U = B * updatesPerDecode. */
export function decodeLayout(paddedSize: number, updatesPerDecode: number): PlanLayout {
  const numUpdates = paddedSize * updatesPerDecode;
  return makeLayout("decode", [paddedSize, paddedSize, numUpdates, paddedSize, paddedSize], 1);
}

/**
 * Layout of T tokens, B sequences, U page table updates, N logit rows and S samples. U, N and S may be 0.
 * @param maxQueries default: T
 */
export function mixedLayout(
  ...[t, b, u, n, s, maxQueries = t]: readonly [...LayoutSizes, maxQueries?: number]
): PlanLayout {
  return makeLayout("mixed", [t, b, u, n, s], maxQueries);
}

/**
 * The layout a step runs with: the smallest captured batch size that holds it if it is a decode, else the exact one.
 * @param batchSizes captured sizes, ascending; empty when nothing is captured
 */
export function chooseLayout(step: ScheduledStep, batchSizes: readonly number[]): PlanLayout {
  const numSequences = step.sequences.length;
  const padded = step.kind === "decode" ? batchSizes.find((size) => size >= numSequences) : undefined;
  if (padded !== undefined) return decodeLayout(padded, step.updatesPerDecode);
  const numSamples = step.samples.length;
  const numLogits = numSamples + step.promptLogits.length;
  const longest = step.sequences.reduce((most, { count }) => Math.max(most, count), 0);
  return mixedLayout(step.numTokens, numSequences, step.pageUpdates.length, numLogits, numSamples, longest);
}

/** Batch sizes worth capturing: 1, 2, 4, 8, then every multiple of 8, and maxSequences itself. Ascending. */
export function paddedBatchSizes(maxSequences: number): number[] {
  const sizes = [1, 2, 4].filter((size) => size < maxSequences);
  for (let size = 8; size < maxSequences; size += 8) sizes.push(size);
  return [...sizes, maxSequences];
}

/**
 * Writes the arrays of a step.
 * @param out at least layout.length elements; gaps between fields are left as they are
 * @throws ArgumentRangeError the step does not fit the layout, or `out` is too short
 */
export function fillPlan(step: ScheduledStep, layout: PlanLayout, out: Int32Array): void {
  checkFit(step, layout, out);
  const field = (name: PlanField) =>
    out.subarray(layout.offsets[name], layout.offsets[name] + layout.sizes[name]);
  if (layout.kind === "decode") fillPadding(step, field);
  fillSequences(step, field);
  const [updateRows, updateCols, updatePages] = [
    field("updateRows"),
    field("updateCols"),
    field("updatePages"),
  ];
  const numRows = step.dummyRow + 1;
  for (const [i, { group, row, col, page }] of step.pageUpdates.entries()) {
    updateRows[i] = group * numRows + row;
    updateCols[i] = col;
    updatePages[i] = page;
  }
  fillLogits(step, field);
}

type FieldView = (name: PlanField) => Int32Array;

function fillSequences(step: ScheduledStep, field: FieldView): void {
  const [rows, starts, cuSeqlensQ] = [field("rows"), field("starts"), field("cuSeqlensQ")];
  cuSeqlensQ[0] = 0;
  for (const [b, { row, start, count, firstToken, continues }] of step.sequences.entries()) {
    rows[b] = row;
    starts[b] = continues ? -1 : start;
    cuSeqlensQ[b + 1] = firstToken + count;
  }
}

function fillLogits(step: ScheduledStep, field: FieldView): void {
  const [logitIndices, sampleRows] = [field("logitIndices"), field("sampleRows")];
  for (const [i, { sequence, position }] of [...step.samples, ...step.promptLogits].entries())
    logitIndices[i] = sequence.firstToken + position - sequence.start;
  for (const [i, { sequence }] of step.samples.entries()) sampleRows[i] = sequence.row;
}

/** Makes all of a decode plan padding: sequence i runs token i, in the dummy row. */
function fillPadding(step: ScheduledStep, field: FieldView): void {
  field("rows").fill(step.dummyRow);
  for (const name of ["starts", "updateRows", "sampleRows"] as const) field(name).fill(-1);
  for (const name of ["updateCols", "updatePages"] as const) field(name).fill(0);
  for (const name of ["cuSeqlensQ", "logitIndices"] as const) {
    const view = field(name);
    for (let i = 0; i < view.length; i++) view[i] = i;
  }
}

function checkFit(step: ScheduledStep, layout: PlanLayout, out: Int32Array): void {
  const exact = chooseLayout(step, []);
  const fits =
    layout.kind === "decode"
      ? step.kind === "decode" && exact.numSequences <= layout.numSequences
      : exact.numTokens === layout.numTokens &&
        exact.maxQueries <= layout.maxQueries &&
        planFields.every((name) => exact.sizes[name] === layout.sizes[name]);
  if (!fits) {
    throw new ArgumentRangeError(
      `fillPlan: layout: a ${step.kind} step of ${describe(exact)} does not fit the ` +
        `${layout.kind} layout of ${describe(layout)}`,
    );
  }
  if (out.length < layout.length) {
    throw new ArgumentRangeError(
      `fillPlan: out: expected at least ${layout.length} elements, got ${out.length}`,
    );
  }
}

function describe(layout: PlanLayout): string {
  const { numTokens, numSequences, numUpdates, numLogits, numSamples, maxQueries } = layout;
  return `[T=${numTokens}, B=${numSequences}, U=${numUpdates}, N=${numLogits}, S=${numSamples}, maxQueries=${maxQueries}]`;
}

function makeLayout(kind: PlanLayout["kind"], [t, b, u, n, s]: LayoutSizes, maxQueries: number): PlanLayout {
  const sizes: Record<PlanField, number> = {
    rows: b,
    starts: b,
    cuSeqlensQ: b + 1,
    updateRows: u,
    updateCols: u,
    updatePages: u,
    logitIndices: n,
    sampleRows: s,
  };
  const offsets = { ...sizes };
  let length = 0;
  for (const name of planFields) {
    offsets[name] = length;
    length += Math.ceil(sizes[name] / fieldAlignment) * fieldAlignment;
  }
  return {
    kind,
    numTokens: t,
    numSequences: b,
    numUpdates: u,
    numLogits: n,
    numSamples: s,
    maxQueries,
    offsets,
    sizes,
    length,
  };
}
