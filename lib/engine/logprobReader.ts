/**
 * Brings log probabilities, and logits and hidden states of prompts, of a step to the host. Nothing is computed or read for rows of which neither was
 * asked. Prompt positions are taken in blocks, so that memory stays bounded however long the prompt is.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import type { Model } from "../models/model.js";
import { embedding } from "../ops/embedding.js";
import { logprobs } from "../ops/logprobs.js";
import { RowStatus } from "../ops/rowStatus.js";
import type { PlanField } from "../schedule/stepPlan.js";
import type { DeviceStep, PositionLogprobs, PromptReads, PromptResult, StepLogprobs } from "./deviceStep.js";

const blockRows = 32; // rows of logits in memory at once: 20 MB at a vocabulary of 150k

/** Finds one of the step's arrays on the device. */
export type FieldOf = (name: PlanField) => Tensor;

interface RowLogprobs extends PositionLogprobs {
  readonly isFinite: boolean;
}

/** Of some positions of prompts; made when they are asked for. */
interface PositionTensors {
  /** [N, D] */
  readonly states: () => Tensor;
  /** [N, V] */
  readonly logits: () => Tensor;
}

interface PromptTensors {
  readonly logits: Tensor;
  readonly hidden: Tensor | null;
  readonly field: FieldOf;
}

export class LogprobReader {
  readonly #model: Model;
  readonly #stream: Stream;

  constructor(model: Model, stream: Stream) {
    this.#model = model;
    this.#stream = stream;
  }

  /** Of the samples. Queues what is needed at once; the promise settles with the stream. */
  async readSampled(
    { sampleLogprobs: counts }: DeviceStep,
    { logits, ids }: { readonly logits: Tensor; readonly ids: Tensor },
  ): Promise<StepLogprobs["sampled"]> {
    if (!counts) return [];
    const rows = await this.#logprobs(logits, ids, Math.max(...counts));
    return Array.from(counts, (count, i) => (count < 0 ? null : shorten(rows[i]!, count)));
  }

  /** Of prompts, likewise. */
  async readPrompt(step: DeviceStep, tensors: PromptTensors): Promise<StepLogprobs["prompt"]> {
    return step.prompt ? (await this.#readPrompt(step, step.prompt, tensors)).flat() : [];
  }

  async #readPrompt(
    { layout: { numSamples, numLogits } }: DeviceStep,
    prompt: PromptReads,
    { hidden, logits, field }: PromptTensors,
  ): Promise<PromptResult[][]> {
    const reads: Promise<PromptResult[]>[] = [];
    const numBetween = numLogits - numSamples;
    for (let first = 0; first < numBetween && hidden; first += blockRows) {
      const end = Math.min(first + blockRows, numBetween);
      const rows = field("logitIndices").slice(0, numSamples + first, numSamples + end);
      using _block = this.#stream.scope();
      const states = embedding(this.#stream, rows, hidden);
      const blockLogits = () => this.#model.logits(this.#stream, states);
      reads.push(this.#readPositions(prompt, [first, end], { states: () => states, logits: blockLogits }));
    }
    for (const [i, row] of prompt.sampleRows.entries()) {
      const rows = field("logitIndices").slice(0, row, row + 1);
      const tensors = {
        states: () => embedding(this.#stream, rows, hidden!),
        logits: () => logits.slice(0, row, row + 1),
      };
      reads.push(this.#readPositions(prompt, [numBetween + i, numBetween + i + 1], tensors));
    }
    return Promise.all(reads);
  }

  /** Of the positions [first, end). */
  async #readPositions(
    prompt: PromptReads,
    [first, end]: readonly [first: number, end: number],
    tensors: PositionTensors,
  ): Promise<PromptResult[]> {
    const stream = this.#stream;
    const counts = prompt.logprobs.subarray(first, end);
    const [wanted, wantedStates] = [prompt.logits.subarray(first, end), prompt.hidden.subarray(first, end)];
    const most = Math.max(...counts);
    const nextIds = most < 0 ? null : prompt.nextIds.subarray(first, end);
    const logits = nextIds || wanted.includes(1) ? tensors.logits() : null;
    const [rows, values, states] = await Promise.all([
      nextIds && this.#logprobs(logits!, stream.fromArray("i32", [end - first], nextIds), most),
      wanted.includes(1) ? logits!.readFloat32(stream) : null,
      wantedStates.includes(1) ? tensors.states().readFloat32(stream) : null,
    ]);
    const rowOf = (all: Float32Array | null, flags: Uint8Array, i: number): Float32Array | null => {
      if (!all || flags[i] !== 1) return null;
      const width = all.length / flags.length;
      return all.slice(i * width, (i + 1) * width);
    };
    return Array.from(counts, (count, i) => ({
      logprobs: rows && count >= 0 ? shorten(rows[i]!, count) : null,
      isFinite: rows?.[i]!.isFinite ?? true,
      logits: rowOf(values, wanted, i),
      hidden: rowOf(states, wantedStates, i),
    }));
  }

  /** One entry per row of `logits`. */
  async #logprobs(logits: Tensor, ids: Tensor, topN: number): Promise<RowLogprobs[]> {
    const status = this.#stream.empty("i32", [logits.size(0)]);
    const result = logprobs(this.#stream, logits, ids, { topN, status });
    const [chosen, statuses, topIds, topValues] = await Promise.all([
      result.chosen.readFloat32(this.#stream),
      status.read(this.#stream),
      topN > 0 ? (result.topIds.read(this.#stream) as Promise<Int32Array>) : new Int32Array(),
      topN > 0 ? result.topValues.readFloat32(this.#stream) : new Float32Array(),
    ]);
    return Array.from(chosen, (value, i) => ({
      chosen: value,
      isFinite: statuses[i] === RowStatus.ok,
      topIds: topIds.subarray(i * topN, (i + 1) * topN),
      topValues: topValues.subarray(i * topN, (i + 1) * topN),
    }));
  }
}

function shorten(row: PositionLogprobs, count: number): PositionLogprobs {
  return {
    chosen: row.chosen,
    topIds: row.topIds.subarray(0, count),
    topValues: row.topValues.subarray(0, count),
  };
}
