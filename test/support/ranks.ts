/**
 * A model of several ranks in one process: each has its shard of the weights, they run one after another on one stream, and what a
 * machine of several devices would sum over them is summed here.
 */
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { FloatDType, KvDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { describeModel } from "../../lib/llm/loadModel.js";
import type { Model } from "../../lib/models/model.js";
import type { Decoder } from "../../lib/nn/decoder.js";
import type { RankSum, RankSums } from "../../lib/nn/part.js";
import { add } from "../../lib/ops/add.js";
import { copy } from "../../lib/ops/copy.js";
import { loadWeights } from "../../lib/weights/loadWeights.js";
import { formsOf } from "../../lib/weights/modelWeights.js";
import type { Shard } from "../../lib/weights/shard.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { tableOn } from "../../lib/weights/weightTable.js";
import { runModel, type RunOptions } from "./runModel.js";

export interface RankModel extends Model {
  readonly forward: Decoder["forward"];
}

/** What a rank has of a checkpoint. */
export async function loadRank(
  folder: string,
  shard: Shard,
  {
    stream,
    dtype,
    kvDtype,
    sums,
  }: {
    readonly stream: Stream;
    readonly dtype: FloatDType;
    readonly kvDtype?: KvDType | undefined;
    readonly sums?: RankSums;
  },
): Promise<RankModel> {
  const { definition, architecture, quantization, contextLength } = await describeModel(folder);
  await using checkpoint = await openCheckpoint(folder);
  const plan = resolveWeights(tableOn(stream.device, definition.weights), checkpoint, shard, quantization);
  const weights = await loadWeights(plan, formsOf(definition.weights), { checkpoint, stream, dtype });
  const constant = (data: Float32Array, shape: readonly number[]): Promise<Tensor> => {
    const tensor = weights.own(stream.device.empty("f32", shape));
    tensor.write(stream, data);
    return Promise.resolve(tensor);
  };
  const built = await definition.build(weights, { dtype, kvDtype, contextLength, shard, sums, constant });
  const { bytes: weightBytes } = weights;
  const shape = {
    ...definition.shape,
    architecture,
    maxPositions: contextLength,
    dtype,
    weightBytes,
    weights: weights.summarize(),
    hasHead: true,
    fingerprint: "",
  };
  return { ...built, shape, dispose: () => weights.dispose() };
}

/**
 * Where ranks that run one after another sum something: each pass over all of them finds out one more sum, which the passes after
 * it have.
 */
export class Meeting {
  readonly #sums: Tensor[] = [];
  #summands: Tensor[] = [];
  #next = 0;

  /** Sums that were made. */
  get count(): number {
    return this.#sums.length;
  }

  readonly sum: RankSum = (stream, summand) => {
    const at = this.#next++;
    const known = this.#sums[at];
    if (known) copy(stream, known, summand);
    if (at !== this.#sums.length) return;
    const kept = stream.device.empty("f32", summand.shape);
    copy(stream, summand, kept);
    this.#summands.push(kept);
  };

  /** The next rank begins. */
  begin(): void {
    this.#next = 0;
  }

  /** All ranks have run. @returns whether they have to once more */
  end(stream: Stream): boolean {
    const [first, ...others] = this.#summands;
    if (!first) return false;
    for (const other of others) add(stream, first, other, { out: first });
    this.#sums.push(first);
    this.#summands = [];
    return true;
  }
}

/** @returns the logits of each rank, [T, V] */
export async function runRanks(
  ranks: readonly Model[],
  meeting: Meeting,
  stream: Stream,
  tokens: readonly number[],
  options: RunOptions = {},
): Promise<Float32Array[]> {
  let logits: Float32Array[];
  do {
    logits = [];
    for (const rank of ranks) {
      meeting.begin();
      const [own] = await runModel(rank, stream, [tokens], options);
      logits.push(own!);
    }
  } while (meeting.end(stream));
  return logits;
}

/** Stages of a pipeline as one model. */
export function inPipeline(stages: readonly RankModel[]): Model {
  return {
    ...stages.at(-1)!,
    state: stages.flatMap(({ state }) => state),
    taps: stages.flatMap(({ taps }) => taps),
    forward(stream, inputs, state, taps = []) {
      let residual: Tensor | undefined;
      let place = 0;
      for (const stage of stages) {
        const own = [place, (place += stage.state.length)] as const;
        const [layers, places] = [state.layers.slice(...own), state.places.slice(...own)];
        const asked = taps.filter(({ layer }) => stage.taps.some((point) => point.layer === layer));
        residual = stage.forward(stream, inputs, { ...state, layers, places }, asked, residual);
      }
      return residual!;
    },
  };
}
