/**
 * The second half of a step: from logits to ids, which go to the token pool, where the next step finds them. Where masks have to be waited
 * for, the logits stay in memory of their own meanwhile, since that of the step's scope is given back.
 */
import type { DType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { argmax } from "../ops/argmax.js";
import { sample, sampleColumns } from "../ops/sample.js";
import { tableScatter } from "../ops/tableScatter.js";
import type { DeviceStep, StepMasks, StepResult } from "./deviceStep.js";
import type { LogprobReader } from "./logprobReader.js";

/** What is sampled from. */
export interface SampleInputs {
  /** [S, V] */
  readonly logits: Tensor;
  /** [S] of the ids in their sequences. */
  readonly positions: Tensor;
}

export interface SamplerParts {
  readonly stream: Stream;
  readonly vocabSize: number;
  readonly maxSamples: number;
  readonly tokenPool: Tensor;
  readonly logprobs: LogprobReader;
}

type Sampled = Omit<StepResult, "prompt">;

export class StepSampler {
  readonly #parts: SamplerParts;
  /** From the first step with masks on. */
  #held: SampleInputs | undefined;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
  }

  /** Where a step with masks leaves what is sampled from. @throws OutOfMemoryError */
  held(size: number): SampleInputs {
    const { stream, vocabSize, maxSamples } = this.#parts;
    const own = (dtype: DType, shape: readonly number[]): Tensor => stream.device.empty(dtype, shape);
    this.#held ??= { logits: own("f32", [maxSamples, vocabSize]), positions: own("i32", [maxSamples]) };
    const { logits, positions } = this.#held;
    return { logits: logits.slice(0, 0, size), positions: positions.slice(0, 0, size) };
  }

  /** @param rows [S] of the token pool, -1: none. The scope of the step is open */
  sample(
    step: DeviceStep,
    { logits, positions }: SampleInputs,
    rows: Tensor,
    mask?: Int32Array,
  ): Promise<Sampled> {
    const { stream, tokenPool, logprobs } = this.#parts;
    const size = step.layout.numSamples;
    const samples = stream.empty("i32", [2, size]); // ids and statuses: one read brings both
    const [ids, status] = [0, 1].map((row) => samples.slice(0, row, row + 1).reshape([-1])) as [
      Tensor,
      Tensor,
    ];
    this.#choose(step, { logits, positions }, { out: ids, status }, mask);
    tableScatter(stream, tokenPool, rows, positions, ids);
    const reads = [samples.read(stream), logprobs.readSampled(step, { logits, ids })] as const;
    return Promise.all(reads).then(([read, sampled]) => ({
      ...{ ids: read.subarray(0, size) as Int32Array, statuses: read.subarray(size) as Int32Array },
      sampled,
    }));
  }

  /** When the masks are there; the step has left its logits in `held`. */
  async sampleMasked(step: DeviceStep, { words, onSampling }: StepMasks): Promise<Sampled> {
    let sampled: Promise<Sampled>;
    try {
      sampled = this.#sampleHeld(step, await words);
    } finally {
      onSampling(); // when it is queued: the ids come later
    }
    return sampled;
  }

  dispose(): void {
    this.#held?.logits.dispose();
    this.#held?.positions.dispose();
  }

  #sampleHeld(step: DeviceStep, mask: Int32Array): Promise<Sampled> {
    const { stream } = this.#parts;
    const { numSamples, offsets } = step.layout;
    using _scope = stream.scope();
    const from = offsets.sampleRows;
    const rows = stream.fromArray("i32", [numSamples], step.ints.subarray(from, from + numSamples));
    return this.sample(step, this.held(numSamples), rows, mask);
  }

  #choose(
    { layout: { numSamples: size }, sampling: batch }: DeviceStep,
    { logits, positions }: SampleInputs,
    results: { readonly out: Tensor; readonly status: Tensor },
    mask: Int32Array | undefined,
  ): void {
    const { stream, vocabSize, tokenPool } = this.#parts;
    if (batch === null) return void argmax(stream, logits, results);
    const { bias, suppressed } = batch;
    sample(stream, logits, {
      ...{ positions, ...results },
      floats: stream.fromArray("f32", [size, sampleColumns.floats.length], batch.floats),
      ints: stream.fromArray("i32", [size, sampleColumns.ints.length], batch.ints),
      ...(batch.hasPenalties && { tokenPool }),
      ...(bias && {
        biasIds: stream.fromArray("i32", [size, bias.width], bias.ids),
        biasValues: stream.fromArray("f32", [size, bias.width], bias.values),
      }),
      ...(suppressed && {
        suppressedIds: stream.fromArray("i32", [size, suppressed.width], suppressed.ids),
      }),
      ...(mask && {
        bitmask: stream.fromArray("i32", [size, Math.ceil(vocabSize / 32)], padded(mask, size, vocabSize)),
      }),
    });
  }
}

/** Rows that are no samples may have any token. */
function padded(mask: Int32Array, size: number, vocabSize: number): Int32Array {
  const length = size * Math.ceil(vocabSize / 32);
  if (mask.length === length) return mask;
  const longer = new Int32Array(length).fill(-1);
  longer.set(mask);
  return longer;
}
