/**
 * The parts of a layer. A part reads the residual stream, each of its branches normalises it and runs a block, and what the
 * blocks make is added to the stream at one place, here: a block does not add, it is given a `join`.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { add } from "../ops/add.js";
import type { NormBlock } from "./norm.js";
import type { LayerState, StateSpec } from "./state.js";
import type { GroupInputs, StepInputs } from "./step.js";
import type { TapCall, TapShape } from "./tap.js";

/** What a block reads of a step besides its inputs: made before the first layer, once for all blocks that declare the same. */
export interface StepPlan {
  /** Blocks with one signature have one plan. */
  readonly signature: string;
  /**
   * @param cache of one of these blocks, if they keep something
   * @returns what they read and nobody writes: a tensor, or several and what the host knows of them
   */
  make(stream: Stream, inputs: StepInputs, cache: BlockCache | undefined): object;
}

/** What a block has declared as its `state`, and where that lies for the tokens of the step. */
export interface PagedCache extends GroupInputs {
  readonly state: LayerState;
}

/** The same of a block that keeps a slot. */
export interface SlotCache {
  readonly state: LayerState;
  /** [B] i32: where that of each sequence lies in `state`; -1 for padding, which keeps nothing */
  readonly places: Tensor;
}

export type BlockCache = PagedCache | SlotCache;

/** Where the last op of a block writes, [T, D] f32, and what it adds to its result. */
export interface Into {
  readonly out: Tensor;
  readonly residual?: Tensor;
}

/** Takes the result of a block, once: `project` queues the block's last op. */
export type Join = (project: (into: Into) => void) => void;

export interface BlockCall {
  /** [T, D] in the activation dtype; another branch may read it, too */
  readonly x: Tensor;
  readonly inputs: StepInputs;
  /** Of a block that declares a `state`. */
  readonly cache?: BlockCache | undefined;
  /** What the block has declared as its `plan`; a block that runs by itself does without. */
  readonly plan?: object | undefined;
  readonly join: Join;
  /** Takes what the block has declared as its `taps`. */
  readonly tap: TapCall;
  /** Sums over the ranks that share the block: for what one of them cannot know of the others. What it joins is summed by itself. */
  readonly rankSum?: RankSum | undefined;
}

/** What a call has for one block alone. */
export type BlockOwn = Pick<BlockCall, "cache" | "plan">;

/** How ranks share a block: the rows and columns of its matrices (tensor parallel), or its experts (expert parallel). */
export type RankAxis = "tp" | "ep";

/** Makes a tensor [T, D] f32, which each rank has a summand of, the sum of all of them, in place. Queued like an op. */
export type RankSum = (stream: Stream, summand: Tensor) => void;

/** For each axis along which there are several ranks. */
export type RankSums = Readonly<Partial<Record<RankAxis, RankSum>>>;

export interface Block {
  /** Where ranks share it along this axis, each makes a summand of its result. Left out: they do not share it. */
  readonly ranks?: RankAxis;
  /** What it keeps between steps; left out: nothing. */
  readonly state?: StateSpec;
  readonly plan?: StepPlan;
  /** What it can be asked for, by name. */
  readonly taps?: Readonly<Record<string, TapShape>>;
  run(stream: Stream, call: BlockCall): void;
}

export interface Branch {
  /** One that several branches of a part have runs once. */
  readonly norm: NormBlock;
  readonly block: Block;
}

export interface Part {
  /** All of them read the same residual stream, before any of them joins. */
  readonly branches: readonly Branch[];
  /** Applied to the sum of what the branches make, before it is added to the stream; its result is [T, D] in any dtype. */
  readonly postNorm?: NormBlock | undefined;
  /** What the sum, after `postNorm` if there is one, is multiplied by before it is added to the stream. Default 1. */
  readonly factor?: number | undefined;
}

/** residual += block(norm(residual)): what most layers are made of. */
export function preNorm(norm: NormBlock, block: Block): Part {
  return { branches: [{ norm, block }] };
}

export interface PartCall extends Pick<BlockCall, "inputs" | "tap"> {
  /** What a block has declared: asked for once for each, in their order. */
  readonly ownOf: (block: Block) => BlockOwn;
  readonly sums?: RankSums | undefined;
}

/**
 * Queues a part. This is the one place where blocks join, and where ranks do: what they share of a part is summed once.
 *
 * @param residual [T, D] f32, read and written
 */
export function runPart(
  stream: Stream,
  { branches, postNorm, factor = 1 }: Part,
  residual: Tensor,
  { inputs, tap, ownOf, sums = {} }: PartCall,
): void {
  const normed = new Map<NormBlock, Tensor>(); // branches that share a norm run it once
  const calls = branches.map(({ norm, block }) => {
    const x = normed.get(norm) ?? norm(stream, residual);
    normed.set(norm, x);
    return { block, x, own: ownOf(block), rankSum: block.ranks && sums[block.ranks] };
  });
  const isChanged = postNorm !== undefined || factor !== 1;
  const parts: Tensor[] = []; // what cannot be added to the residual stream as it is made
  for (const rankSum of new Set(calls.map((call) => call.rankSum))) {
    const isApart = isChanged || rankSum !== undefined;
    const sum = isApart ? stream.empty("f32", residual.shape) : residual;
    const together = calls.filter((call) => call.rankSum === rankSum);
    together.forEach(({ block, x, own }, index) => {
      const isFirst = index === 0 && isApart; // nothing to add to yet
      const join: Join = (project) => project(isFirst ? { out: sum } : { out: sum, residual: sum });
      block.run(stream, { x, inputs, ...own, join, tap, rankSum });
    });
    rankSum?.(stream, sum);
    if (isApart) parts.push(sum);
  }
  const [sum, ...others] = parts;
  if (!sum) return;
  for (const other of others) add(stream, sum, other, { out: sum });
  add(stream, residual, postNorm ? postNorm(stream, sum) : sum, { scale: factor, out: residual });
}
