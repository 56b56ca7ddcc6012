/**
 * The loop over layers of a decoder: embeddings, then attention and feed-forward of every layer, then the last norm. The
 * residual stream is f32 whatever the activation dtype.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { add } from "../ops/add.js";
import { embedding } from "../ops/embedding.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import type { AttentionBlock } from "./attention.js";
import type { MlpBlock } from "./mlp.js";
import type { NormBlock } from "./norm.js";
import type { ModelState, StateSpec } from "./state.js";
import type { StepInputs } from "./step.js";

export interface DecoderLayer {
  readonly attentionNorm: NormBlock;
  readonly attention: AttentionBlock;
  readonly mlpNorm: NormBlock;
  readonly mlp: MlpBlock;
}

export interface DecoderParts {
  /** [V, D] */
  readonly embedding: Tensor;
  /** [Lmax, D], added to the embedding of each token; for models with learned positions */
  readonly positions?: Tensor | undefined;
  readonly layers: readonly DecoderLayer[];
  readonly finalNorm: NormBlock;
  /** [V, D] */
  readonly head: LinearWeight;
}

/** Told for every layer with experts which ones the tokens go to: [T, K] i32, a step temporary (read or copy it at once). */
export type LayerExpertsObserver = (layer: number, experts: Tensor) => void;

export interface Decoder {
  /** By layer: what it keeps between steps. */
  readonly state: readonly StateSpec[];
  /** @returns [T, D], after the last norm, in the activation dtype */
  forward(stream: Stream, inputs: StepInputs, state: ModelState, observe?: LayerExpertsObserver): Tensor;
  /**
   * @param out [N, V] f32, where to write; for graphs, whose results must outlive the step's temporaries
   * @returns [N, V] f32
   */
  logits(stream: Stream, hidden: Tensor, out?: Tensor): Tensor;
}

export function decoder(parts: DecoderParts): Decoder {
  const { layers, finalNorm, head } = parts;
  return {
    state: layers.map(({ attention }) => attention.state),
    forward(stream, inputs, state, observe) {
      const x = embedTokens(stream, inputs, parts); // [T, D], the residual stream
      layers.forEach((layer, index) => {
        using _temporaries = stream.scope(); // every layer reuses the memory of the one before
        layer.attention.run(stream, layer.attentionNorm(stream, x), x, inputs, state.layers[index]!);
        layer.mlp(stream, layer.mlpNorm(stream, x), x, observe && ((experts) => observe(index, experts)));
      });
      return finalNorm(stream, x);
    },
    logits: (stream, hidden, out) => linear(stream, hidden, head, { dtype: "f32", ...(out && { out }) }),
  };
}

function embedTokens(stream: Stream, inputs: StepInputs, parts: DecoderParts): Tensor {
  const x = embedding(stream, inputs.tokens, parts.embedding, { dtype: "f32" });
  if (!parts.positions) return x;
  const places = embedding(stream, inputs.positions, parts.positions, { dtype: "f32" });
  return add(stream, x, places, { out: x });
}
