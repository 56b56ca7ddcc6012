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
  /** @param cache of one of these blocks, if they keep something @returns what they read and nobody writes */
  make(stream: Stream, inputs: StepInputs, cache: BlockCache | undefined): Tensor;
}

/** What a block has declared as its `state`, and where that lies for the tokens of the step. */
export interface PagedCache extends GroupInputs {
  readonly state: LayerState;
}

/** The same of a block that keeps a slot: its block of row r is table[r, column]. */
export interface SlotCache {
  readonly state: LayerState;
  /** [R, columns] */
  readonly table: Tensor;
  readonly column: number;
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
  /** [T, D] in the activation dtype */
  readonly x: Tensor;
  readonly inputs: StepInputs;
  /** Of a block that declares a `state`. */
  readonly cache?: BlockCache | undefined;
  /** What the block has declared as its `plan`; a block that runs by itself does without. */
  readonly plan?: Tensor | undefined;
  readonly join: Join;
  /** Takes what the block has declared as its `taps`. */
  readonly tap: TapCall;
}

/** What a call has for one block alone. */
export type BlockOwn = Pick<BlockCall, "cache" | "plan">;

export interface Block {
  /** What it keeps between steps; left out: nothing. */
  readonly state?: StateSpec;
  readonly plan?: StepPlan;
  /** What it can be asked for, by name. */
  readonly taps?: Readonly<Record<string, TapShape>>;
  run(stream: Stream, call: BlockCall): void;
}

export interface Branch {
  readonly norm: NormBlock;
  readonly block: Block;
}

export interface Part {
  /** All of them read the same residual stream, before any of them joins. */
  readonly branches: readonly Branch[];
  /** Applied to the sum of what the branches make, before it is added to the stream; its result is [T, D] in any dtype. */
  readonly postNorm?: NormBlock | undefined;
  /** What the sum, after `postNorm` if there is one, is multiplied by before it is added to the stream. */
  readonly factor?: number | undefined;
}

/** residual += block(norm(residual)): what most layers are made of. */
export function preNorm(norm: NormBlock, block: Block): Part {
  return { branches: [{ norm, block }] };
}

/**
 * Queues a part.
 *
 * @param residual [T, D] f32, read and written
 * @param call ownOf: what a block has declared, asked for once for each, in their order
 */
export function runPart(
  stream: Stream,
  { branches, postNorm, factor }: Part,
  residual: Tensor,
  call: Pick<BlockCall, "inputs" | "tap"> & { readonly ownOf: (block: Block) => BlockOwn },
): void {
  const { inputs, tap, ownOf } = call;
  const normalised = branches.map(({ norm }) => norm(stream, residual));
  const isChanged = postNorm !== undefined || factor !== undefined;
  const sum = isChanged ? stream.empty("f32", residual.shape) : residual;
  branches.forEach(({ block }, index) => {
    const isFirst = index === 0 && isChanged; // nothing to add to yet
    const join: Join = (project) => project(isFirst ? { out: sum } : { out: sum, residual: sum });
    block.run(stream, { x: normalised[index]!, inputs, ...ownOf(block), join, tap });
  });
  if (isChanged)
    add(stream, residual, postNorm ? postNorm(stream, sum) : sum, { scale: factor, out: residual });
}
