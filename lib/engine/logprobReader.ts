/**
 * Brings log probabilities and prompt logits of a step to the host. Nothing is computed or read for requests that asked
 * for neither. Prompt positions are taken in blocks, so that memory stays bounded however long the prompt is.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import type { Model } from "../models/model.js";
import { embedding } from "../ops/embedding.js";
import { logprobs } from "../ops/logprobs.js";
import { RowStatus } from "../ops/rowStatus.js";
import type { Request } from "../schedule/request.js";
import type { PromptLogit, ScheduledStep } from "../schedule/scheduledStep.js";
import type { PlanLayout } from "../schedule/stepPlan.js";
import type { FieldOf, RequestNeeds } from "./needs.js";

const blockRows = 32; // rows of logits in memory at once: 20 MB at a vocabulary of 150k

/** Natural log probability of a token, and the most likely tokens at its position. */
export interface PositionLogprobs {
  readonly chosen: number;
  readonly topIds: Int32Array;
  readonly topValues: Float32Array;
}

/** Something about the prompt of a request: what comes after position `position`. */
export interface PromptPosition {
  readonly request: Request;
  readonly position: number;
  /** About token position + 1 of the prompt; null when it was not asked for, or that token is not part of the prompt. */
  readonly logprobs: PositionLogprobs | null;
  /** [V]; null when it was not asked for. */
  readonly logits: Float32Array | null;
  /** False when `logprobs` come from logits that are not finite. */
  readonly isFinite: boolean;
}

export interface StepLogprobs {
  /** One per sample; null for those that did not ask. */
  readonly sampled: readonly (PositionLogprobs | null)[];
  readonly prompt: readonly PromptPosition[];
}

interface RowLogprobs extends PositionLogprobs {
  readonly isFinite: boolean;
}

interface StepTensors {
  readonly logits: Tensor;
  readonly hidden: Tensor | null;
  readonly ids: Tensor;
  readonly field: FieldOf;
}

type NeedsOf = (request: Request) => RequestNeeds;

export class LogprobReader {
  readonly #model: Model;
  readonly #stream: Stream;

  constructor(model: Model, stream: Stream) {
    this.#model = model;
    this.#stream = stream;
  }

  /** Queues what the step needs at once; the promise settles with the stream. */
  read(
    step: ScheduledStep,
    layout: PlanLayout,
    tensors: StepTensors,
    needsOf: NeedsOf,
  ): Promise<StepLogprobs> {
    const sampled = this.#readSampled(step, tensors, needsOf);
    const prompt = this.#readPrompt(step, layout, tensors, needsOf);
    return Promise.all([sampled, prompt]).then(([s, p]) => ({ sampled: s, prompt: p.flat() }));
  }

  async #readSampled(
    step: ScheduledStep,
    { logits, ids }: StepTensors,
    needsOf: NeedsOf,
  ): Promise<(PositionLogprobs | null)[]> {
    const counts = step.samples.map(({ request }) => needsOf(request).logprobs);
    const wanted = counts.filter((count) => count !== undefined);
    if (wanted.length === 0) return counts.map(() => null);
    const rows = await this.#logprobs(logits, ids, Math.max(...wanted));
    return counts.map((count, i) => (count === undefined ? null : shorten(rows[i]!, count)));
  }

  async #readPrompt(
    step: ScheduledStep,
    layout: PlanLayout,
    { hidden, logits, field }: StepTensors,
    needsOf: NeedsOf,
  ): Promise<PromptPosition[][]> {
    const reads: Promise<PromptPosition[]>[] = [];
    for (let first = 0; first < step.promptLogits.length && hidden; first += blockRows) {
      const entries = step.promptLogits.slice(first, first + blockRows);
      const at = layout.numSamples + first;
      const rows = field("logitIndices").slice(0, at, at + entries.length);
      using _block = this.#stream.scope();
      const blockLogits = this.#model.logits(this.#stream, embedding(this.#stream, rows, hidden));
      reads.push(this.#readPositions(entries, blockLogits, needsOf));
    }
    // The last position of a prompt is where the first token is sampled.
    for (const [i, sequence] of step.samples.entries()) {
      const { request, start, count } = sequence;
      if (!needsOf(request).promptLogits || start + count !== request.promptLength) continue;
      const entry = { sequence, position: request.promptLength - 1 };
      reads.push(this.#readPositions([entry], logits.slice(0, i, i + 1), needsOf));
    }
    return Promise.all(reads);
  }

  async #readPositions(
    entries: readonly PromptLogit[],
    logits: Tensor,
    needsOf: NeedsOf,
  ): Promise<PromptPosition[]> {
    const stream = this.#stream;
    const requests = entries.map(({ sequence }) => sequence.request);
    const vocabSize = logits.size(1);
    const counts = requests.map((request) => needsOf(request).promptLogprobs ?? -1);
    const most = Math.max(...counts);
    const next = entries.map(({ sequence, position }) => sequence.request.tokens.at(position + 1) ?? 0);
    const nextIds = most < 0 ? null : stream.fromArray("i32", [next.length], Int32Array.from(next));
    const wantsLogits = requests.some((request) => needsOf(request).promptLogits);
    const [rows, values] = await Promise.all([
      nextIds ? this.#logprobs(logits, nextIds, most) : null,
      wantsLogits ? logits.readFloat32(stream) : null,
    ]);
    return entries.map(({ sequence: { request }, position }, i) => ({
      request,
      position,
      logprobs:
        rows && counts[i]! >= 0 && position + 1 < request.promptLength ? shorten(rows[i]!, counts[i]!) : null,
      isFinite: rows?.[i]!.isFinite ?? true,
      logits:
        values && needsOf(request).promptLogits ? values.slice(i * vocabSize, (i + 1) * vocabSize) : null,
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
