/**
 * Drives a Scheduler and a FakeDevice together and compares every request with the same request run alone. After every
 * call it checks integrity, that each request ends exactly once, and that the scheduler never stops with work left.
 */
import { type FinishReason, Request } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import {
  FakeDevice,
  generateAlone,
  idsToJump,
  type JumpingParams,
  type RanStep,
  type StepResult,
} from "./fakeDevice.js";
import type { Random } from "./random.js";

interface Tracked {
  readonly request: Request;
  readonly params: JumpingParams;
  readonly output: number[];
  readonly promptLogits: Map<number, number>;
  ends: number;
}

/** What happened, so that a test can assert that its schedules exercised something. */
export interface Coverage {
  steps: number;
  decodeSteps: number;
  chunks: number;
  discarded: number;
  readmissions: number;
  /** Steps that begin with slots from the prefix cache, and that leave some there. */
  restores: number;
  snapshots: number;
  /** Ids that came without sampling, and requests that ended with them. */
  jumped: number;
  jumpEnds: number;
}

export function noCoverage(): Coverage {
  return {
    ...{ steps: 0, decodeSteps: 0, chunks: 0, discarded: 0, readmissions: 0 },
    ...{ restores: 0, snapshots: 0, jumped: 0, jumpEnds: 0 },
  };
}

export class Simulation {
  readonly scheduler: Scheduler;
  readonly coverage = noCoverage();
  readonly #options: SchedulerOptions;
  readonly #device: FakeDevice;
  readonly #tracked = new Map<Request, Tracked>();
  readonly #inFlight: { step: ScheduledStep; result: StepResult }[] = [];

  constructor(options: SchedulerOptions, random: Random, onStep?: (ran: RanStep) => void) {
    this.#options = options;
    this.#device = new FakeDevice(options, random, onStep);
    this.scheduler = new Scheduler(options);
  }

  get stepsInFlight(): number {
    return this.#inFlight.length;
  }

  submit(id: string, prompt: readonly number[], params: JumpingParams): Request {
    const request = new Request(id, prompt, params);
    this.scheduler.add(request);
    this.#tracked.set(request, { request, params, output: [], promptLogits: new Map(), ends: 0 });
    this.scheduler.checkIntegrity();
    return request;
  }

  /** Ends a request by id. Legal at any time, also twice. */
  finish(request: Request, reason: FinishReason): void {
    const ended = this.scheduler.finish(request.id, reason);
    if (ended) this.#tracked.get(request)!.ends += 1;
    this.scheduler.checkIntegrity();
  }

  /** Plans and runs one step. Its results stay in flight. */
  schedule(): ScheduledStep | null {
    const step = this.scheduler.schedule();
    this.scheduler.checkIntegrity();
    if (step === null) {
      const stuck = [...this.scheduler.requests];
      if (this.#inFlight.length === 0 && stuck.length > 0)
        throw new Error(`deadlock: ${stuck.map((r) => r.id)}`);
      return null;
    }
    if (step.numTokens > this.#options.maxStepTokens) throw new Error(`step of ${step.numTokens} tokens`);
    this.#inFlight.push({ step, result: this.#device.run(step) });
    this.coverage.steps += 1;
    if (step.kind === "decode") this.coverage.decodeSteps += 1;
    this.coverage.chunks += step.sequences.filter(({ numSamples }) => numSamples === 0).length;
    if (step.copies.beforeModel.length > 0) this.coverage.restores += 1;
    if (step.copies.afterModel.length > 0) this.coverage.snapshots += 1;
    this.coverage.readmissions += step.admissions.filter(
      ({ request, tokens }) => tokens.length > request.promptLength,
    ).length;
    for (const { sequence } of step.samples) this.#jump(this.#tracked.get(sequence.request)!);
    return step;
  }

  /** As an engine does, which waits with such requests for the ids before: something else comes in place of what was sampled. */
  #jump({ request, params, output }: Tracked): void {
    if (params.jumps === undefined) return;
    while (this.#inFlight.length > 1) this.commit();
    if (request.status === "finished") return;
    const ids = idsToJump(params, request.tokens.length, request.maxLength - request.tokens.length);
    if (ids.length === 0) return;
    const reason = this.scheduler.append(request, ids);
    output.push(...ids);
    this.coverage.jumped += ids.length;
    if (reason !== null) {
      this.coverage.jumpEnds += 1;
      this.#tracked.get(request)!.ends += 1;
    }
    this.scheduler.checkIntegrity();
  }

  /** Takes the results of the oldest step. */
  commit(): void {
    const oldest = this.#inFlight.shift();
    if (oldest === undefined) return;
    const committed = this.scheduler.commit(oldest.step, oldest.result.sampledIds);
    this.coverage.discarded += oldest.step.samples.length - committed.length;
    for (const { request, tokenId, finishReason } of committed) {
      const tracked = this.#tracked.get(request)!;
      if (tracked.ends > 0) throw new Error(`request ${request.id} got a token after its end`);
      tracked.output.push(tokenId);
      if (finishReason !== null) tracked.ends += 1;
    }
    for (const { request, position, logit } of oldest.result.promptLogits) {
      const { promptLogits } = this.#tracked.get(request)!;
      if (promptLogits.has(position))
        throw new Error(`request ${request.id}: logits at ${position} came twice`);
      promptLogits.set(position, logit);
    }
    this.scheduler.checkIntegrity();
  }

  /** Runs with `depth` steps in flight until nothing is left. */
  drain(depth: number): void {
    for (;;) {
      const step = this.schedule();
      if (this.#inFlight.length === 0) return;
      if (step === null || this.#inFlight.length >= depth) this.commit();
    }
  }

  /** Compares everything with the requests run alone, and checks that the engine is clean. Call when nothing runs. */
  verify(): void {
    for (const tracked of this.#tracked.values()) this.#verifyRequest(tracked);
    const { running, waiting, usedPages, freePages, cachedPages, stepsInFlight } = this.scheduler.stats;
    const left = running + waiting + usedPages + stepsInFlight;
    if (left !== 0 || freePages + cachedPages !== this.#options.numBlocks - 1) {
      throw new Error(`not clean: ${JSON.stringify(this.scheduler.stats)}`);
    }
  }

  #verifyRequest({ request, params, output, promptLogits, ends }: Tracked): void {
    const { id, promptLength, finishReason } = request;
    if (ends !== 1 || finishReason === null)
      throw new Error(`request ${id} ended ${ends} times (${finishReason})`);
    const prompt = [...request.tokens].slice(0, promptLength);
    const { tokens, alone, reason } = generateAlone(prompt, params, this.#options);
    const expected = tokens.slice(promptLength);
    const complete = output.length === expected.length && reason === finishReason;
    const cut = finishReason !== "length" && output.length <= expected.length;
    if (!complete && !cut)
      throw new Error(`request ${id}: ${finishReason} after ${output}, alone ${expected}`);
    if (output.some((token, i) => token !== expected[i])) {
      throw new Error(`request ${id}: got ${output}, alone ${expected}`);
    }
    for (const [position, logit] of promptLogits) {
      if (logit !== alone.logit(position)) throw new Error(`request ${id}: wrong logits at ${position}`);
    }
    if (params.promptLogits && complete && promptLogits.size !== promptLength - 1) {
      throw new Error(`request ${id}: ${promptLogits.size} prompt logits of ${promptLength - 1}`);
    }
  }
}
