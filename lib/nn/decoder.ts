/**
 * The loop over layers of a decoder: embeddings, then the parts of every layer, then the last norm. The residual stream is
 * f32 whatever the activation dtype.
 */
import type { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { add } from "../ops/add.js";
import { embedding, type EmbeddingTable } from "../ops/embedding.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import type { NormBlock } from "./norm.js";
import { type Block, type BlockCache, type BlockOwn, type Part, runPart } from "./part.js";
import type { ModelState, StateSpec } from "./state.js";
import type { StepInputs } from "./step.js";
import { checkTaps, type Tap, tapLayer, type TapPoint } from "./tap.js";

/** The parts of a layer, in the order in which they run. */
export type Layer = readonly Part[];

export interface DecoderParts {
  /** [V, D] */
  readonly embedding: EmbeddingTable;
  /** [Lmax, D], added to the embedding of each token; for models with learned positions */
  readonly positions?: Tensor | undefined;
  readonly layers: readonly Layer[];
  readonly finalNorm: NormBlock;
  /** [V, D] */
  readonly head: LinearWeight;
}

export interface Decoder {
  /** What blocks keep between steps: one for each that keeps something, in the order in which they run. */
  readonly state: readonly StateSpec[];
  /** What can be asked for besides the result, layer by layer. */
  readonly taps: readonly TapPoint[];
  /**
   * @param taps copies of it; at most one for each point and destination
   * @returns [T, D], after the last norm, in the activation dtype
   * @throws ArgumentRangeError a tap that there is not, or a destination of another shape or dtype
   */
  forward(stream: Stream, inputs: StepInputs, state: ModelState, taps?: readonly Tap[]): Tensor;
  /**
   * @param out [N, V] f32, where to write; for graphs, whose results must outlive the step's temporaries
   * @returns [N, V] f32
   */
  logits(stream: Stream, hidden: Tensor, out?: Tensor): Tensor;
}

export function decoder(parts: DecoderParts): Decoder {
  const { layers, finalNorm, head } = parts;
  const blocks = layers.flatMap((layer) =>
    layer.flatMap(({ branches }) => branches.map(({ block }) => block)),
  );
  const points = layers.flatMap((layer, index) => tapPoints(layer, index, widthOf(parts.embedding)));
  return {
    state: blocks.flatMap(({ state }) => (state ? [state] : [])),
    taps: points,
    forward(stream, inputs, state, taps = []) {
      checkTaps(taps, points, inputs.tokens.size(0));
      const x = embedTokens(stream, inputs, parts); // [T, D], the residual stream
      const cacheOf = cachesInOrder(state, inputs); // blocks run in the order of `blocks`
      const plans = makePlans(stream, blocks, inputs, state);
      const ownOf = (block: Block): BlockOwn => ({
        cache: cacheOf(block),
        plan: block.plan && plans.get(block.plan.signature),
      });
      layers.forEach((layer, index) => {
        using _temporaries = stream.scope(); // every layer reuses the memory of the one before
        const tap = tapLayer(stream, taps, index);
        for (const part of layer) runPart(stream, part, x, { inputs, ownOf, tap });
        tap("hidden", x);
      });
      return finalNorm(stream, x);
    },
    logits: (stream, hidden, out) => linear(stream, hidden, head, { dtype: "f32", ...(out && { out }) }),
  };
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

function widthOf(table: EmbeddingTable): number {
  return Tensor.is(table) ? table.size(-1) : table.inputs;
}

/** What each block keeps, asked for in the order of the blocks. */
function cachesInOrder(
  { layers, places }: ModelState,
  inputs: StepInputs,
): (block: Block) => BlockCache | undefined {
  let place = 0;
  return (block) => {
    if (!block.state) return undefined;
    const [state, at] = [layers[place]!, places[place++]!];
    if ("group" in at) return { state, ...inputs.groups[at.group]! };
    return { state, table: inputs.slotTable!, column: at.column };
  };
}

/** The plans of a step by their signatures. Not in the scope of a layer: the next one would write over them. */
function makePlans(
  stream: Stream,
  blocks: readonly Block[],
  inputs: StepInputs,
  state: ModelState,
): ReadonlyMap<string, Tensor> {
  const plans = new Map<string, Tensor>();
  const cacheOf = cachesInOrder(state, inputs);
  for (const block of blocks) {
    const cache = cacheOf(block);
    const { plan } = block;
    if (plan && !plans.has(plan.signature)) plans.set(plan.signature, plan.make(stream, inputs, cache));
  }
  return plans;
}

function embedTokens(stream: Stream, inputs: StepInputs, parts: DecoderParts): Tensor {
  const x = embedding(stream, inputs.tokens, parts.embedding, { dtype: "f32" });
  if (!parts.positions) return x;
  const places = embedding(stream, inputs.positions, parts.positions, { dtype: "f32" });
  return add(stream, x, places, { out: x });
}
