/**
 * Runs steps on the device: the only part of the engine that touches tensors. It owns the KV pages, the tables of the sequences
 * and the decode graphs. It knows no requests: a step is plain data, and its results are by row.
 *
 * Life of a step
 *  1. ids of admitted requests, and those that come without sampling, go to their token pool rows; the step's arrays go up in one write
 *  2. page table updates, tokens and lengths from the tables, the model, logits of the rows that need them
 *     (for a decode step: one replay of the graph captured for the padded batch size); before it slots that were found in the
 *     prefix cache, and behind it slots that are left there, are copied
 *  3. sampling; the sampled ids go to the pool, where the next step finds them
 *  4. ids and log probabilities are read; the promise settles when the device got that far
 */
import type { DType } from "../device/dtype.js";
import type { Graph } from "../device/graph.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { WarploopError } from "../errors.js";
import type { Model, ModelState } from "../models/model.js";
import { allocateState, type StateLayout } from "../nn/state.js";
import { copy } from "../ops/copy.js";
import { embedding } from "../ops/embedding.js";
import { updatesPerToken } from "../schedule/cacheGroup.js";
import type { BlockCopy } from "../schedule/kvPages.js";
import { decodeLayout, paddedBatchSizes, type PlanLayout } from "../schedule/stepPlan.js";
import type { DeviceStep, StepMasks, StepResult, StepRunner } from "./deviceStep.js";
import { ExpertCounts } from "./expertCounts.js";
import { type FieldOf, LogprobReader } from "./logprobReader.js";
import { SequenceTables, type StepSequences } from "./sequenceTables.js";
import { StepSampler } from "./stepSampler.js";

export interface RunnerOptions {
  readonly maxSequences: number;
  /** Width of the token pool, in tokens. */
  readonly maxModelLen: number;
  /** Of what the model keeps. */
  readonly layout: StateLayout;
  /** Blocks of it, the dummy block 0 included. */
  readonly numBlocks: number;
  /** Capture decode steps as graphs. */
  readonly graphs: boolean;
  /** Count the tokens of each expert. */
  readonly expertCounts?: boolean;
}

interface ForwardTensors {
  /** [S, V] */
  readonly logits: Tensor;
  /** [T, D]; null after a replay */
  readonly hidden: Tensor | null;
  /** [S] of the ids that will be sampled, in their sequences */
  readonly positions: Tensor;
}

export class ModelRunner implements StepRunner {
  readonly batchSizes: readonly number[];
  /** Of what it keeps. */
  readonly layout: StateLayout;
  readonly #model: Model;
  readonly #stream: Stream;
  readonly #state: ModelState;
  readonly #tables: SequenceTables;
  /** Where captured graphs find the arrays of their step, and leave the logits and where the sampled ids go. */
  readonly #decodePlan: Tensor;
  readonly #decodePositions: Tensor;
  readonly #decodeLogits: Tensor;
  readonly #graphs = new Map<number, Graph>();
  readonly #logprobs: LogprobReader;
  readonly #sampler: StepSampler;
  /** Null: nobody asked for them. */
  readonly expertCounts: ExpertCounts | null = null;
  readonly #owned: { dispose(): void }[] = [];
  #lastIndex = -1;

  /** @throws OutOfMemoryError; what was allocated until then is released */
  constructor(model: Model, stream: Stream, options: RunnerOptions) {
    const { maxSequences, maxModelLen, layout, numBlocks } = options;
    this.#model = model;
    this.#stream = stream;
    this.layout = layout;
    this.batchSizes = options.graphs ? paddedBatchSizes(maxSequences) : [];
    try {
      this.#state = allocateState(stream.device, model.state, { layout, numBlocks });
      this.#owned.push(this.#state);
      this.#tables = new SequenceTables(stream, {
        ...{ numRows: maxSequences, maxTokens: maxModelLen, pageSize: layout.pageSize },
        ...{ groups: layout.groups, slotLayers: layout.slotLayers },
      });
      this.#owned.push(this.#tables);
      const largest = this.batchSizes.at(-1) ?? 1;
      this.#decodePlan = this.#own("i32", [decodeLayout(largest, updatesPerToken(layout.groups)).length]);
      this.#decodePositions = this.#own("i32", [largest]);
      this.#decodeLogits = this.#own("f32", [largest, model.shape.vocabSize]);
      if (options.expertCounts) {
        this.expertCounts = new ExpertCounts(model, stream);
        this.#owned.push(this.expertCounts);
      }
    } catch (error) {
      this.#release();
      throw error;
    }
    this.#logprobs = new LogprobReader(model, stream);
    this.#sampler = new StepSampler({
      ...{
        stream,
        vocabSize: model.shape.vocabSize,
        maxSamples: Math.max(maxSequences, this.batchSizes.at(-1) ?? 1),
      },
      ...{ tokenPool: this.#tables.tokenPool, logprobs: this.#logprobs },
    });
    this.#owned.push(this.#sampler);
  }

  /** What the steps keep, by layer; the runner owns it. */
  get state(): ModelState {
    return this.#state;
  }

  get progress(): number {
    return this.#stream.progress;
  }

  submit(step: DeviceStep, masks?: StepMasks): Promise<StepResult> {
    const stream = this.#stream;
    if (step.index <= this.#lastIndex)
      throw new WarploopError(
        "ERR_INTERNAL",
        `step ${step.index} was submitted behind step ${this.#lastIndex}`,
      );
    this.#lastIndex = step.index;
    for (const { row, first, tokens } of step.tokenWrites) this.#tables.writeTokens(row, tokens, first);
    using _scope = stream.scope();
    const field = this.#upload(step);
    this.#copyBlocks(step.copies.beforeModel);
    const { logits, hidden, positions } = this.#forward(step, field, masks !== undefined);
    this.#copyBlocks(step.copies.afterModel);
    const sampling = masks
      ? this.#sampler.sampleMasked(step, masks)
      : this.#sampler.sample(step, { logits, positions }, field("sampleRows"));
    const reads = [sampling, this.#logprobs.readPrompt(step, { logits, hidden, field })] as const;
    return Promise.all(reads).then(([sampled, prompt]) => ({ ...sampled, prompt }));
  }

  /** Ends graphs, KV pages and tables. The model stays. */
  dispose(): void {
    for (const graph of this.#graphs.values()) graph.dispose();
    this.#graphs.clear();
    this.#release();
  }

  /** Writes the step's arrays and returns how to find one of them on the device. */
  #upload({ layout, ints }: DeviceStep): FieldOf {
    const plan =
      layout.kind === "decode"
        ? this.#decodePlan.slice(0, 0, layout.length)
        : this.#stream.empty("i32", [layout.length]);
    plan.write(this.#stream, ints);
    return (name) => plan.slice(0, layout.offsets[name], layout.offsets[name] + layout.sizes[name]);
  }

  /** Outside of graphs: few steps have any. */
  #copyBlocks(copies: readonly BlockCopy[]): void {
    const block = (index: number): Tensor => this.#state.pool.slice(0, index, index + 1);
    for (const { from, to } of copies) copy(this.#stream, block(from), block(to));
  }

  /** @param keeps leaves logits and positions where the sampler finds them later */
  #forward({ layout, sequences }: DeviceStep, field: FieldOf, keeps: boolean): ForwardTensors {
    const stream = this.#stream;
    const held = keeps ? this.#sampler.held(layout.numSamples) : undefined;
    if (layout.kind === "mixed") {
      const sampled = field("logitIndices").slice(0, 0, layout.numSamples);
      const { hidden, positions } = this.#runModel(layout, field, {
        ...{ sampled, sequences: sequences ?? undefined },
        ...(held && { samplePositions: held.positions }),
      });
      const logits = this.#model.logits(stream, embedding(stream, sampled, hidden), held?.logits);
      return { logits, hidden, positions };
    }
    const logits = this.#decodeLogits.slice(0, 0, layout.numSequences);
    const positions = this.#decodePositions.slice(0, 0, layout.numSequences);
    let graph = this.#graphs.get(layout.numSequences);
    if (!graph) {
      graph = stream.capture(() => {
        const outputs = { sampled: field("logitIndices"), samplePositions: positions };
        this.#model.logits(stream, this.#runModel(layout, field, outputs).hidden, logits);
      });
      this.#graphs.set(layout.numSequences, graph);
    }
    graph.replay(stream);
    if (held) {
      copy(stream, logits, held.logits);
      copy(stream, positions, held.positions);
    }
    return { logits, hidden: null, positions };
  }

  /** Page table updates, the step's inputs, the model: final hidden states [T, D], and where the sampled ids go [S]. */
  #runModel(
    { numTokens, maxQueries }: PlanLayout,
    field: FieldOf,
    { sampled, ...more }: { readonly sampled: Tensor } & Pick<StepSequences, "samplePositions" | "sequences">,
  ): { hidden: Tensor; positions: Tensor } {
    this.#tables.writePages(field("updateRows"), field("updateCols"), field("updatePages"));
    const [rows, starts, cuSeqlensQ] = [field("rows"), field("starts"), field("cuSeqlensQ")];
    const step = this.#tables.makeStep({
      ...{ numTokens, maxQueries, rows, starts, cuSeqlensQ, logitIndices: sampled },
      ...more,
    });
    const hidden = this.#model.forward(this.#stream, step.inputs, this.#state, this.expertCounts?.taps);
    return { hidden, positions: step.samplePositions };
  }

  #own(dtype: DType, shape: readonly number[]): Tensor {
    const tensor = this.#stream.device.empty(dtype, shape);
    this.#owned.push(tensor);
    return tensor;
  }

  #release(): void {
    for (const owned of this.#owned) owned.dispose();
    this.#owned.length = 0;
  }
}
