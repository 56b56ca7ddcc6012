/**
 * The loop over layers of a decoder: embeddings, then the parts of every layer, then the last norm. The residual stream is
 * f32 whatever the activation dtype. A stage of a pipeline has some of the layers, and the rest only where it is the first or
 * the last.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import { add } from "../ops/add.js";
import { embedding, type EmbeddingTable } from "../ops/embedding.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { softcap } from "../ops/softcap.js";
import { tableGather } from "../ops/tableGather.js";
import type { NormBlock } from "./norm.js";
import { type Block, type BlockCache, type BlockOwn, type Part, type RankSums, runPart } from "./part.js";
import type { ModelState, StateSpec } from "./state.js";
import type { StepInputs } from "./step.js";
import { checkTaps, type Tap, tapLayer, type TapPoint } from "./tap.js";

/** The parts of a layer, in the order in which they run. */
export type Layer = readonly Part[];

/** From tokens to the residual stream. */
export interface DecoderInput {
  /** [V, D] */
  readonly embedding: EmbeddingTable;
  /** What the embeddings are multiplied by. Default 1. */
  readonly factor?: number | undefined;
  /** [Lmax, D], added to the embedding of each token; for models with learned positions */
  readonly positions?: Tensor | undefined;
}

/** From the residual stream to logits. */
export interface DecoderOutput {
  readonly finalNorm: NormBlock;
  /** [V, D] */
  readonly head: LinearWeight;
  /** Logits are cap * tanh(logit / cap). Default: as they are. */
  readonly cap?: number | undefined;
}

export interface DecoderParts {
  /** D, of the residual stream. */
  readonly width: number;
  /** Left out: a stage that takes the residual stream of the one before. */
  readonly input?: DecoderInput | undefined;
  readonly layers: readonly Layer[];
  /** The number of the first of them. Default 0. */
  readonly firstLayer?: number | undefined;
  /** Left out: a stage that gives the residual stream. */
  readonly output?: DecoderOutput | undefined;
  /** Where several ranks share blocks. */
  readonly sums?: RankSums | undefined;
}

export interface Decoder {
  /** What blocks keep between steps: one for each that keeps something, in the order in which they run. */
  readonly state: readonly StateSpec[];
  /** What can be asked for besides the result, layer by layer. */
  readonly taps: readonly TapPoint[];
  /**
   * @param taps copies of it; none of which shares memory with another
   * @param residual [T, D] f32, what the stage before has given: of a stage without input; overwritten
   * @returns [T, D], after the last norm, in the activation dtype; of a stage without output the residual stream, f32
   * @throws ArgumentRangeError a tap that there is not, or a destination of another shape or dtype
   * @throws ArgumentTypeError a residual stream for the first stage, or none for another
   */
  forward(
    stream: Stream,
    inputs: StepInputs,
    state: ModelState,
    taps?: readonly Tap[],
    residual?: Tensor,
  ): Tensor;
  /**
   * Of a stage with output.
   *
   * @param out [N, V] f32, where to write; for graphs, whose results must outlive the step's temporaries
   * @returns [N, V] f32
   */
  logits(stream: Stream, hidden: Tensor, out?: Tensor): Tensor;
}

/** @throws ArgumentRangeError a factor of a part that is no finite number */
export function decoder(parts: DecoderParts): Decoder {
  const { layers, output, width, firstLayer = 0, sums } = parts;
  layers.forEach((layer, index) => checkFactors(layer, firstLayer + index));
  const blocks = layers.flatMap((layer) =>
    layer.flatMap(({ branches }) => branches.map(({ block }) => block)),
  );
  const points = layers.flatMap((layer, index) => tapPoints(layer, firstLayer + index, width));
  return {
    state: blocks.flatMap(({ state }) => (state ? [state] : [])),
    taps: points,
    forward(stream, inputs, state, taps = [], residual) {
      checkTaps(taps, points, inputs.tokens.size(0));
      const x = residualStream(stream, inputs, parts, residual); // [T, D]
      const slots = slotsOfStep(stream, inputs, state);
      const cacheOf = cachesInOrder(state, inputs, slots); // blocks run in the order of `blocks`
      const plans = makePlans(stream, blocks, inputs, cachesInOrder(state, inputs, slots));
      const ownOf = (block: Block): BlockOwn => ({
        cache: cacheOf(block),
        plan: block.plan && plans.get(block.plan.signature),
      });
      layers.forEach((layer, index) => {
        using _temporaries = stream.scope(); // every layer reuses the memory of the one before
        const tap = tapLayer(stream, taps, firstLayer + index, inputs);
        for (const part of layer) runPart(stream, part, x, { inputs, ownOf, tap, sums });
        tap("hidden", x);
      });
      return output ? output.finalNorm(stream, x) : x;
    },
    logits(stream, hidden, out) {
      if (!output) throw new ArgumentRangeError("decoder: logits: this stage of the model has no head");
      const logits = linear(stream, hidden, output.head, { dtype: "f32", ...(out && { out }) });
      const { cap } = output;
      return cap === undefined ? logits : softcap(stream, logits, { cap, out: logits });
    },
  };
}

function checkFactors(parts: Layer, layer: number): void {
  for (const { factor = 1 } of parts) {
    if (Number.isFinite(factor)) continue;
    const expected = `a part of layer ${layer}: factor: expected a finite number`;
    throw new ArgumentRangeError(`decoder: ${expected}, got ${describe(factor)}`);
  }
}

/** Of one layer: those of its blocks, and the residual stream behind it. */
function tapPoints(parts: Layer, layer: number, D: number): TapPoint[] {
  const own = parts.flatMap(({ branches }) =>
    branches.flatMap(({ block: { taps = {} } }) =>
      Object.entries(taps).map(([name, shape]): TapPoint => ({ name, layer, ...shape })),
    ),
  );
  return [...own, { name: "hidden", layer, dtype: "f32", shape: [D] }];
}

/** By column of the slots, where those of the sequences of a step lie: [columns, B]; undefined where no layer keeps one. */
function slotsOfStep(
  stream: Stream,
  { slotTable, rows }: StepInputs,
  { places }: ModelState,
): Tensor | undefined {
  const columns = places.reduce((most, at) => Math.max(most, "column" in at ? at.column + 1 : 0), 0);
  return columns === 0 ? undefined : tableGather(stream, slotTable!.slice(1, 0, columns), rows, null);
}

type CacheOf = (block: Block) => BlockCache | undefined;

/** What each block keeps, asked for in the order of the blocks. */
function cachesInOrder(
  { layers, places }: ModelState,
  inputs: StepInputs,
  slots: Tensor | undefined,
): CacheOf {
  let place = 0;
  return (block) => {
    if (!block.state) return undefined;
    const [state, at] = [layers[place]!, places[place++]!];
    if ("group" in at) return { state, ...inputs.groups[at.group]! };
    return { state, places: slots!.slice(0, at.column, at.column + 1).reshape([-1]) };
  };
}

/** The plans of a step by their signatures. Not in the scope of a layer: the next one would write over them. */
function makePlans(
  stream: Stream,
  blocks: readonly Block[],
  inputs: StepInputs,
  cacheOf: CacheOf,
): ReadonlyMap<string, object> {
  const plans = new Map<string, object>();
  for (const block of blocks) {
    const cache = cacheOf(block);
    const { plan } = block;
    if (plan && !plans.has(plan.signature)) plans.set(plan.signature, plan.make(stream, inputs, cache));
  }
  return plans;
}

/** That of the tokens, or of the stage before. */
function residualStream(
  stream: Stream,
  inputs: StepInputs,
  { input }: DecoderParts,
  given: Tensor | undefined,
): Tensor {
  if (!input) {
    if (given) return given;
    throw new ArgumentTypeError("decoder: residual: expected that of the stage before, got none");
  }
  if (given) throw new ArgumentTypeError("decoder: residual: this stage makes its own, from the tokens");
  const x = embedding(stream, inputs.tokens, input.embedding, { dtype: "f32" });
  const { factor = 1 } = input;
  if (factor !== 1) add(stream, x, x, { scale: factor - 1, out: x });
  if (!input.positions) return x;
  const places = embedding(stream, inputs.positions, input.positions, { dtype: "f32" });
  return add(stream, x, places, { out: x });
}
