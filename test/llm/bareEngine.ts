/**
 * The engine put together as LLM.load does, for tests that reach beneath LLM: every step checks the pool, and the stream
 * can be broken under it. `StubRunner` takes the place of the model where a test says when and how each step ends.
 */
import type { Device } from "../../lib/device/device.js";
import type { Model } from "../../lib/models/model.js";
import { Engine } from "../../lib/engine/engine.js";
import type { RequestListener } from "../../lib/engine/requestListener.js";
import { type LLMOptions, planCapacity, resolveOptions } from "../../lib/llm/engineOptions.js";
import {
  type GenerateContext,
  type GenerateOptions,
  resolveGeneration,
} from "../../lib/llm/generateOptions.js";
import type { GenerationStream } from "../../lib/llm/generationStream.js";
import { Intake } from "../../lib/llm/intake.js";
import type { FinishReason } from "../../lib/schedule/request.js";
import type { DeviceStep, StepMasks, StepResult, StepRunner } from "../../lib/engine/deviceStep.js";
import { ModelRunner } from "../../lib/engine/runner.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { StateSpec } from "../../lib/nn/state.js";
import { CacheGroup, longestSequence } from "../../lib/schedule/cacheGroup.js";
import { openTestDevice } from "../support/devices.js";

export interface BareOptions extends LLMOptions {
  /** Blocks of the KV pool, the dummy block not counted. */
  readonly pages: number;
  /** Most tokens of one request in one step. Default: maxStepTokens. */
  readonly chunkTokens?: number;
  /** Windows keep what lies behind them. */
  readonly keepsAll?: boolean;
  /** Called when a step is queued; `pool` is [blocks, bytes]. */
  readonly afterStep?: (scheduler: Scheduler, pool: Tensor, stream: Stream) => void;
  /** What steps and results go through on their way to the runner and back. */
  readonly transport?: <T>(data: T) => T;
}

export interface BareAsk {
  readonly prompt: readonly number[];
  readonly options: GenerateOptions;
}

export class BareEngine {
  readonly device: Device;
  readonly stream: Stream;
  readonly engine: Engine;
  readonly #context: GenerateContext;
  readonly #intake: Intake;

  /** Use `open`. */
  constructor(device: Device, stream: Stream, engine: Engine, context: GenerateContext) {
    this.device = device;
    this.stream = stream;
    this.engine = engine;
    this.#context = context;
    this.#intake = new Intake(engine, null, context);
  }

  static async open(folder: string, options: BareOptions): Promise<BareEngine> {
    const { dtype, contextLength, threads } = options;
    const device = openTestDevice(threads === undefined ? {} : { threads });
    const stream = device.createStream();
    return BareEngine.over(await loadModel(folder, { stream, dtype, contextLength }), stream, options);
  }

  /** The device ends with the engine. */
  static over(loaded: Model, stream: Stream, bareOptions: BareOptions): BareEngine {
    const { pages, keepsAll = false, afterStep, transport = (data) => data, ...rest } = bareOptions;
    const { chunkTokens, ...options } = rest;
    const resolved = resolveOptions(options);
    const { device } = stream;
    const kept = loaded.state.map((spec): StateSpec => {
      return spec.lifetime === "slot" ? spec : { ...spec, lifetime: "all" };
    });
    const model = keepsAll ? { ...loaded, state: kept } : loaded;
    const planned = planCapacity(resolved, model, device);
    const numBlocks = pages + 1;
    const groups = planned.groups!.map(
      (group, i) => new CacheGroup(i, group, planned.pageSize, planned.maxStepTokens),
    );
    const maxModelLen = longestSequence(groups, pages - planned.slotLayers!, planned.maxModelLen);
    const chunks = chunkTokens === undefined ? {} : { chunkTokens };
    const capacity = { ...planned, numBlocks, maxModelLen, ...chunks };
    const runner = new ModelRunner(model, stream, capacity);
    const scheduler = new Scheduler(capacity);
    const submit = runner.submit.bind(runner);
    runner.submit = (step) => {
      const result = submit(transport(step));
      afterStep?.(scheduler, runner.state.pool, stream);
      return result.then(transport);
    };
    const engine = new Engine(scheduler, runner, {
      stepTimeoutMs: 60_000,
      checkIntegrity: true,
    });
    return new BareEngine(device, stream, engine, {
      vocabSize: model.shape.vocabSize,
      contextLength: capacity.maxModelLen,
      eosTokenIds: [],
      sampling: { ...noDefaults },
      hasTokenizer: false,
    });
  }

  generate(ids: readonly number[], options: GenerateOptions): GenerationStream {
    return this.#intake.begin({ ids: Int32Array.from(ids) }, resolveGeneration(options, this.#context));
  }

  /** Everything that these requests give, all at once or one after the other; the engine ends with them. */
  async runAll(asks: readonly BareAsk[], { isTogether }: { readonly isTogether: boolean }) {
    const results = [];
    try {
      const begin = ({ prompt, options }: BareAsk) => this.generate(prompt, options).result();
      if (isTogether) results.push(...(await Promise.all(asks.map(begin))));
      else for (const one of asks) results.push(await begin(one));
      return {
        results: results.map(({ tokenIds, logprobs }) => ({ tokenIds, logprobs })),
        stats: this.engine.stats,
      };
    } finally {
      await this.close();
    }
  }

  async close(drainMs = 0): Promise<void> {
    await this.#intake.drain(drainMs);
    await this.engine.drain(drainMs);
    await this.engine.close();
    await this.device.dispose();
  }
}

/** Of a checkpoint that says nothing of sampling. */
export const noDefaults = {};

/** A runner whose steps end when the test says so. Every sampled id is 7. */
export class StubRunner implements StepRunner {
  readonly batchSizes: readonly number[] = [];
  /** What was scheduled, by the index of the step. */
  readonly scheduled: ScheduledStep[] = [];
  readonly steps: {
    step: DeviceStep;
    resolve: (result: StepResult) => void;
    reject: (error: Error) => void;
  }[] = [];
  /** As a device counts: grows with the steps that end, and otherwise when the test says so. */
  progress = 0;
  /** Thrown by the next submit. */
  refusal: Error | undefined;

  submit(step: DeviceStep, masks?: StepMasks): Promise<StepResult> {
    void masks?.words.finally(() => masks.onSampling());
    if (this.refusal) throw this.refusal;
    return new Promise((resolve, reject) => this.steps.push({ step, resolve, reject }));
  }

  /** Ends a step well, or with the statuses of its samples. */
  settle(index: number, statuses?: readonly number[]): void {
    const { step, resolve } = this.steps[index]!;
    this.progress++;
    const ids = new Int32Array(step.layout.numSamples).fill(7);
    resolve({
      ids,
      statuses: ids.map((_, i) => statuses?.[i] ?? 0),
      sampled: [],
      prompt: Array.from(step.prompt?.nextIds ?? [], () => ({
        logprobs: null,
        logits: null,
        hidden: null,
        isFinite: true,
      })),
    });
  }

  /** An engine over this runner with room for everything. */
  engine(stepTimeoutMs = 60_000): Engine {
    const scheduler = new Scheduler({
      ...{ maxSequences: 8, maxStepTokens: 64, maxModelLen: 128, pageSize: 4, numBlocks: 257 },
      ...{ admission: "optimistic", prefixCache: true },
    });
    const schedule = scheduler.schedule.bind(scheduler);
    scheduler.schedule = () => {
      const step = schedule();
      if (step) this.scheduled[step.index] = step;
      return step;
    };
    return new Engine(scheduler, this, { stepTimeoutMs, checkIntegrity: true });
  }
}

/** Writes down what a request is told; throws at once what must not happen after its end. */
export class Recorder implements RequestListener {
  readonly tokens: number[] = [];
  readonly ends: (FinishReason | Error)[] = [];
  readonly #failAt: "token" | "prompt" | "finish" | undefined;

  /** @param failAt the call that throws */
  constructor(failAt?: "token" | "prompt" | "finish") {
    this.#failAt = failAt;
  }

  onToken(tokenId: number): undefined {
    if (this.#failAt === "token") throw new Error("planned");
    this.tokens.push(tokenId);
  }

  onPrompt(): void {
    if (this.#failAt === "prompt") throw new Error("planned");
  }

  onFinish(reason: FinishReason): void {
    if (this.#failAt === "finish") throw new Error("planned");
    this.ends.push(reason);
  }

  onError(error: Error): void {
    this.ends.push(error);
  }
}
