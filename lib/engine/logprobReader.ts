/**
 * Brings log probabilities and prompt logits of a step to the host. Nothing is computed or read for rows of which neither was
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

interface StepTensors {
  readonly logits: Tensor;
  readonly hidden: Tensor | null;
  readonly ids: Tensor;
  readonly field: FieldOf;
}

export class LogprobReader {
  readonly #model: Model;
  readonly #stream: Stream;

  constructor(model: Model, stream: Stream) {
    this.#model = model;
    this.#stream = stream;
  }

  /** Queues what the step needs at once; the promise settles with the stream. */
  read(step: DeviceStep, tensors: StepTensors): Promise<StepLogprobs> {
    const sampled = step.sampleLogprobs && this.#readSampled(step.sampleLogprobs, tensors);
    const prompt = step.prompt && this.#readPrompt(step, step.prompt, tensors);
    return Promise.all([sampled, prompt]).then(([s, p]) => ({ sampled: s ?? [], prompt: p?.flat() ?? [] }));
  }

  async #readSampled(counts: Int32Array, { logits, ids }: StepTensors): Promise<(PositionLogprobs | null)[]> {
    const rows = await this.#logprobs(logits, ids, Math.max(...counts));
    return Array.from(counts, (count, i) => (count < 0 ? null : shorten(rows[i]!, count)));
  }

  async #readPrompt(
    { layout: { numSamples, numLogits } }: DeviceStep,
    prompt: PromptReads,
    { hidden, logits, field }: StepTensors,
  ): Promise<PromptResult[][]> {
    const reads: Promise<PromptResult[]>[] = [];
    const numBetween = numLogits - numSamples;
    for (let first = 0; first < numBetween && hidden; first += blockRows) {
      const end = Math.min(first + blockRows, numBetween);
      const rows = field("logitIndices").slice(0, numSamples + first, numSamples + end);
      using _block = this.#stream.scope();
      const blockLogits = this.#model.logits(this.#stream, embedding(this.#stream, rows, hidden));
      reads.push(this.#readPositions(prompt, first, blockLogits));
    }
    for (const [i, row] of prompt.sampleRows.entries())
      reads.push(this.#readPositions(prompt, numBetween + i, logits.slice(0, row, row + 1)));
    return Promise.all(reads);
  }

  /** Of the positions whose logits are given, which are those from `first` on. */
  async #readPositions(prompt: PromptReads, first: number, logits: Tensor): Promise<PromptResult[]> {
    const stream = this.#stream;
    const [numRows, vocabSize] = [logits.size(0), logits.size(1)];
    const counts = prompt.logprobs.subarray(first, first + numRows);
    const wanted = prompt.logits.subarray(first, first + numRows);
    const most = Math.max(...counts);
    const nextIds = most < 0 ? null : prompt.nextIds.subarray(first, first + numRows);
    const [rows, values] = await Promise.all([
      nextIds && this.#logprobs(logits, stream.fromArray("i32", [numRows], nextIds), most),
      wanted.includes(1) ? logits.readFloat32(stream) : null,
    ]);
    return Array.from(counts, (count, i) => ({
      logprobs: rows && count >= 0 ? shorten(rows[i]!, count) : null,
      isFinite: rows?.[i]!.isFinite ?? true,
      logits: values && wanted[i] === 1 ? values.slice(i * vocabSize, (i + 1) * vocabSize) : null,
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
