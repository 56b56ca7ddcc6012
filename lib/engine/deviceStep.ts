/**
 * What an engine and what runs its steps say to each other: plain data, without requests, functions or class instances, so that
 * a step can go to another thread, process or rank as it is. Rows are those of the step; whose they are only the engine knows.
 */
import type { HostSequence } from "../nn/step.js";
import type { StepCopies } from "../schedule/kvPages.js";
import type { PlanLayout } from "../schedule/stepPlan.js";
import type { SamplingBatch } from "./sampling.js";

export interface DeviceStep {
  /** Greater than that of the step before it. */
  readonly index: number;
  readonly layout: PlanLayout;
  /** The arrays of the step, [layout.length]. */
  readonly ints: Int32Array;
  /** The sequences in the order of the arrays, in a mixed step; null: a graph runs them, which does not look at any. */
  readonly sequences: readonly HostSequence[] | null;
  /** Ids that go to token pool rows before the step runs, to columns from `first` on. */
  readonly tokenWrites: readonly {
    readonly row: number;
    readonly first: number;
    readonly tokens: Int32Array;
  }[];
  /** Blocks of the state that are copied before and after the model runs. */
  readonly copies: StepCopies;
  /** null: every row takes the most likely token. */
  readonly sampling: SamplingBatch | null;
  /**
   * For each sample how many most likely alternatives to report beside the log probability of its token; -1: neither. null: nothing
   * for any sample.
   */
  readonly sampleLogprobs: Int32Array | null;
  /** null: nothing about prompts. */
  readonly prompt: PromptReads | null;
}

/**
 * What to report of positions of prompts, of each something: first of logit rows [S, N) in order, then of `sampleRows`, those
 * samples that come at the end of a prompt.
 */
export interface PromptReads {
  readonly sampleRows: Int32Array;
  /** Ids of the tokens behind the positions, whose log probabilities are asked for. */
  readonly nextIds: Int32Array;
  /** Most likely alternatives beside it; -1: no log probabilities. */
  readonly logprobs: Int32Array;
  /** 1: bring the logits themselves. */
  readonly logits: Uint8Array;
  /** 1: bring the hidden state behind the last norm; only in steps that are no decode. */
  readonly hidden: Uint8Array;
}

/** Natural log probability of a token, and the most likely tokens at its position. */
export interface PositionLogprobs {
  readonly chosen: number;
  readonly topIds: Int32Array;
  readonly topValues: Float32Array;
}

/** What `PromptReads` asks of a position. */
export interface PromptResult {
  /** null when they were not asked for. */
  readonly logprobs: PositionLogprobs | null;
  /** [V]; null when they were not asked for. */
  readonly logits: Float32Array | null;
  /** [D]; null when it was not asked for. */
  readonly hidden: Float32Array | null;
  /** False when `logprobs` come from logits that are not finite. */
  readonly isFinite: boolean;
}

export interface StepLogprobs {
  /** One per sample, null for those that did not ask; empty when none did. */
  readonly sampled: readonly (PositionLogprobs | null)[];
  /** In the order of `PromptReads`. */
  readonly prompt: readonly PromptResult[];
}

export interface StepResult extends StepLogprobs {
  /** One id per sample of the step; padding may follow. */
  readonly ids: Int32Array;
  /** A `RowStatus` per sample: whether the id was drawn from logits that are finite and leave a choice. */
  readonly statuses: Int32Array;
}

/** Tokens that may be sampled in a step. */
export interface StepMasks {
  readonly words: Promise<Int32Array>;
  /** Called when sampling is queued. */
  readonly onSampling: () => void;
}

/** Runs steps. */
export interface StepRunner {
  /** Batch sizes that decode steps are padded to, ascending; empty: to none. */
  readonly batchSizes: readonly number[];
  /** A number that changes while the device goes on with what was submitted. */
  readonly progress: number;
  /**
   * Queues a step. Steps must be submitted in the order in which they were scheduled.
   *
   * @param masks [samples, ceil(V / 32)] of tokens that may be sampled, for a step that has to wait for them: the model is queued at once,
   *   sampling when they are there, and until `onSampling` no other step may be submitted
   * @throws WarploopError ERR_INTERNAL for a step that is not behind the one before
   * @throws OutOfMemoryError at once: later steps that follow this one must not be queued, since the device does not stand
   *   where they begin
   */
  submit(step: DeviceStep, masks?: StepMasks): Promise<StepResult>;
}
