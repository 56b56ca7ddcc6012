/** Steps of a whole model without an LLM around it: scheduler and runner, so that one step can be traced. */
import { Device, type DeviceName } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { packStep } from "../../lib/engine/packStep.js";
import { greedySpec } from "../../lib/engine/requestSpec.js";
import { ModelRunner } from "../../lib/engine/runner.js";
import { planCapacity, resolveOptions } from "../../lib/llm/engineOptions.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Model } from "../../lib/models/model.js";
import { Request } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import type { KvDTypeOption } from "../../lib/nn/kvDtype.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";

export interface ModelStepsOptions {
  readonly device: DeviceName;
  /** Requests that run together. */
  readonly sequences: number;
  /** Most tokens in one step. Default: as an LLM has it. */
  readonly maxStepTokens?: number | undefined;
  /** Default false. */
  readonly expertCounts?: boolean | undefined;
  /** Default "auto". */
  readonly kvDtype?: KvDTypeOption | undefined;
  /** 0: greedy. */
  readonly temperature?: number;
}

/** A model on a device with a stream of its own. */
export class ModelSteps {
  readonly device: Device;
  readonly stream: Stream;
  readonly model: Model;
  readonly #scheduler: Scheduler;
  readonly #runner: ModelRunner;
  readonly #temperature: number;
  #added = 0;

  private constructor(stream: Stream, model: Model, options: ModelStepsOptions) {
    const { sequences, maxStepTokens, expertCounts, temperature = 0 } = options;
    this.device = stream.device;
    this.stream = stream;
    this.model = model;
    const limits = { maxSequences: sequences, maxStepTokens, expertCounts, prefixCache: false };
    const capacity = planCapacity(resolveOptions(limits), model, this.device);
    this.#runner = new ModelRunner(model, stream, capacity);
    this.#scheduler = new Scheduler(capacity);
    this.#temperature = temperature;
  }

  /** @param folder of the checkpoint; its weights are made bf16 */
  static async open(folder: string, options: ModelStepsOptions): Promise<ModelSteps> {
    const device = Device.open(options.device);
    try {
      const stream = device.createStream();
      const { kvDtype } = options;
      return new ModelSteps(stream, await loadModel(folder, { stream, dtype: "bf16", kvDtype }), options);
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  /** Adds a request of so many arbitrary prompt tokens that generates `maxTokens`. */
  add(promptTokens: number, maxTokens: number): void {
    const id = this.#added++;
    const largest = this.model.shape.vocabSize - 1;
    const prompt = Int32Array.from({ length: promptTokens }, (_, t) => 1 + ((7 * id + 3 * t) % largest));
    this.#scheduler.add(new Request(`r${id}`, prompt, { maxTokens }));
  }

  /** Runs the next step. @returns what it was; null when there is nothing left to run */
  async step(): Promise<ScheduledStep | null> {
    const step = this.#scheduler.schedule();
    if (!step) return null;
    const greedy = greedySpec(1);
    const sampling = { ...greedy.sampling, temperature: this.#temperature, seed: 1 };
    const packed = packStep(step, this.#runner.batchSizes, { get: () => ({ ...greedy, sampling }) });
    this.#scheduler.commit(step, (await this.#runner.submit(packed)).ids);
    return step;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.device.dispose();
  }
}
