/**
 * The decoding loop: plans the next step while the device runs the current one, and hands results to their requests.
 * Everything here runs on the JavaScript thread; the work runs on the stream.
 *
 * One step ahead: step N + 1 is planned and queued before the ids of step N are read, so the device never waits for
 * JavaScript. An end that only the ids can tell (stop token, stop string) is seen one step late; that request's extra
 * result is dropped.
 *
 * A failed step is the end of the engine: it goes "dead", every request fails once, and later calls are refused. A step that
 * device memory does not suffice for fails every request, too, but the engine goes on. What a listener throws (text that
 * cannot be decoded) ends its own request only.
 */
import { ClosedError, OutOfMemoryError, WarploopError } from "../errors.js";
import { inTurns, type Steps, turnMs } from "../eventLoop.js";
import { RowStatus } from "../ops/rowStatus.js";
import type { FinishReason, Request } from "../schedule/request.js";
import type { ScheduledStep } from "../schedule/scheduledStep.js";
import type { Scheduler, SchedulerStats } from "../schedule/scheduler.js";
import type { PositionLogprobs, StepMasks, StepResult, StepRunner } from "./deviceStep.js";
import { constraintMasks, isConstrained, type MaskListener, unexpectedToken } from "./constraintMasks.js";
import { packStep, promptPositions } from "./packStep.js";
import type { RequestListener } from "./requestListener.js";
import type { RequestSpec } from "./requestSpec.js";
import { samplingFailure } from "./samplingFailure.js";
import { asError } from "../thrown.js";
import { StepCounters, type StepCounts } from "./stepCounters.js";
import { Waiters } from "./waiters.js";
import { Watchdog } from "./watchdog.js";

export interface EngineStats extends SchedulerStats, StepCounts {
  readonly state: "running" | "draining" | "dead" | "closed";
}

interface Active {
  readonly request: Request;
  readonly listener: RequestListener;
}

const stepsAhead = 2;

export class Engine {
  /** Prefixes that others read and fill. */
  readonly loans: Scheduler["loans"];
  readonly #scheduler: Scheduler;
  readonly #runner: StepRunner;
  readonly #watchdog: Watchdog;
  readonly #checkIntegrity: boolean;
  readonly #active = new Map<string, Active>();
  /** Also of requests that have ended but are part of a step in flight. */
  readonly #specs = new WeakMap<Request, RequestSpec>();
  #inFlight = 0;
  /** Ends when the results of the last step that was queued have been taken. Never rejects. */
  #lastStep: Promise<void> = Promise.resolve();
  #pumpQueued = false;
  #state: EngineStats["state"] = "running";
  #failure: Error | undefined;
  /** Waits for the last request, and for the last step in flight. */
  readonly #idleWaiters = new Waiters();
  readonly #quietWaiters = new Waiters();
  readonly #counters = new StepCounters();
  /** Until the last step samples, which waits for the tokens before it. */
  #isHeld = false;

  constructor(
    scheduler: Scheduler,
    runner: StepRunner,
    options: { readonly stepTimeoutMs: number; readonly checkIntegrity?: boolean },
  ) {
    this.#scheduler = scheduler;
    this.#runner = runner;
    this.#watchdog = new Watchdog(
      options.stepTimeoutMs,
      () => runner.progress,
      (error) => this.#die(error),
    );
    this.#checkIntegrity = options.checkIntegrity ?? false;
    this.loans = scheduler.loans;
    if (this.loans) this.loans.onReturn = () => this.#queuePump();
  }

  get stats(): EngineStats {
    return { ...this.#scheduler.stats, ...this.#counters.counts, state: this.#state };
  }

  /** @throws ClosedError; the failure of a dead engine; ArgumentRangeError ERR_CONTEXT_LENGTH; CapacityError */
  add(request: Request, spec: RequestSpec, listener: RequestListener): void {
    if (this.#failure) throw this.#failure;
    if (this.#state !== "running") throw new ClosedError("engine");
    this.#scheduler.add(request);
    this.#active.set(request.id, { request, listener });
    this.#specs.set(request, spec);
    this.#queuePump();
  }

  /** Prepares a request before it is added, in steps. */
  hashPrompt(request: Request): Steps<void> {
    return this.#scheduler.hashPrompt(request);
  }

  /** Ends a request in any state with reason "abort". Unknown and ended requests are ignored. */
  abort(id: string): void {
    this.#end(id, "abort");
  }

  /** Resolves when no request is left, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#state === "running") this.#state = "draining";
    if (this.#active.size === 0 || timeoutMs <= 0) return;
    await this.#idleWaiters.wait(timeoutMs);
  }

  /** Aborts what is left and waits for the steps in flight. */
  async close(): Promise<void> {
    for (const id of [...this.#active.keys()]) this.abort(id);
    if (this.#state !== "dead") this.#state = "closed";
    this.#watchdog.stop();
    if (this.#inFlight > 0) await this.#quietWaiters.wait();
  }

  /** @throws WarploopError ERR_INTEGRITY when pages or rows are lost */
  checkIntegrity(): void {
    this.#scheduler.checkIntegrity();
  }

  /** Requests that are added in one turn of the event loop are planned together. */
  #queuePump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    const start = performance.now();
    try {
      while (this.#inFlight < stepsAhead && !this.#isHeld && !this.#failure) {
        const step = this.#scheduler.schedule();
        if (this.#checkIntegrity) this.#scheduler.checkIntegrity();
        if (!step) break;
        this.#lastStep = this.#run(step, this.#lastStep);
        if (performance.now() - start >= turnMs) return void setImmediate(() => this.#pump());
      }
      if (this.#inFlight > 0 || this.#failure || this.loans?.isLending) return; // onReturn goes on
      if (this.#active.size > 0)
        throw new WarploopError("ERR_INTERNAL", "engine: requests are left but none can run");
      this.#scheduler.checkIntegrity();
    } catch (error) {
      this.#die(error);
    }
  }

  async #run(step: ScheduledStep, previous: Promise<void>): Promise<void> {
    const start = performance.now();
    if (this.#inFlight++ === 0) this.#watchdog.start();
    try {
      const masks = isConstrained(step, this.#specs) ? this.#masksOf(step, previous) : undefined;
      const result = await this.#runner.submit(packStep(step, this.#runner.batchSizes, this.#specs), masks);
      // Steps that settle in one callback come in any order: one with log probabilities awaits more reads than the next.
      await previous;
      if (!this.#failure) {
        await inTurns(this.#commit(step, result), { isUrgent: true });
        this.#counters.addStep(step.numTokens, performance.now() - start);
      }
    } catch (error) {
      if (error instanceof OutOfMemoryError && !this.#failure) await this.#giveUp(step, error, previous);
      else this.#die(error);
    }
    this.#inFlight--;
    if (!this.#failure) this.#pump();
    if (this.#inFlight > 0) return;
    this.#watchdog.stop();
    this.#quietWaiters.wake();
  }

  /** Of a step that is to be submitted, and what holds up the next one until this one samples. */
  #masksOf(step: ScheduledStep, previous: Promise<void>): StepMasks {
    this.#isHeld = true;
    const listener: MaskListener = {
      fail: ({ id }, error) => this.#remove(id, "error")?.listener.onError(error),
      jump: (request, tokens) => this.#append(request, tokens),
    };
    return {
      words: previous.then(() =>
        this.#watchdog.pauseFor(inTurns(constraintMasks(step, this.#specs, listener), { isUrgent: true })),
      ),
      onSampling: () => {
        this.#isHeld = false;
        this.#queuePump();
      },
    };
  }

  /** Hands out the results of a step: in turns, because hundreds of requests may have some. */
  *#commit(step: ScheduledStep, { ids, statuses, sampled, prompt }: StepResult): Steps<void> {
    for (const position of promptPositions(step, prompt, this.#specs)) {
      if (position.isFinite) this.#tell(position.request.id, (listener) => listener.onPrompt(position));
      else this.#failSample(position.request, RowStatus.notFinite, position.position + 1);
      yield;
    }
    if (this.#failure) return;
    for (const [i, { sequence, position }] of step.samples.entries()) {
      if (statuses[i] !== RowStatus.ok) this.#failSample(sequence.request, statuses[i]!, position + 1);
    }
    for (const { request, tokenId, sampleIndex, finishReason } of this.#scheduler.commit(step, ids)) {
      this.#hand(request, tokenId, finishReason, sampled[sampleIndex] ?? null);
      yield;
    }
  }

  /** Tokens that come without sampling. */
  #append(request: Request, tokens: readonly number[]): void {
    const reason = this.#scheduler.append(request, tokens);
    for (const [i, token] of tokens.entries()) {
      if (!this.#active.has(request.id)) return; // a stop string was among them
      this.#hand(request, token, i + 1 < tokens.length ? null : reason, null);
    }
  }

  /** Hands out a token that the scheduler has. */
  #hand(request: Request, token: number, end: FinishReason | null, logprobs: PositionLogprobs | null): void {
    this.#counters.addToken();
    const isEnd = end === "stop"; // no token of the text
    if (!isEnd && this.#specs.get(request)!.constraint?.accept(token) === false)
      return this.#remove(request.id, "error")?.listener.onError(unexpectedToken(request, token));
    const verdict = this.#tell(request.id, (listener) => listener.onToken(token, logprobs));
    const reason = verdict ?? end; // a stop string says more than "length"
    if (reason !== null) this.#end(request.id, reason);
  }

  /** Ends a request whose token at `position` has no usable logits, unless it can be computed once more. */
  #failSample(request: Request, status: number, position: number): void {
    const spec = this.#specs.get(request)!;
    const error = samplingFailure(request, spec, status, position);
    if (error.code === "ERR_NON_FINITE" && this.#scheduler.startOver(request)) return;
    if (spec.report.promptLogits) return; // who asks for logits gets them as they are
    this.#remove(request.id, "error")?.listener.onError(error);
  }

  /** Calls the listener of a request, if it still runs. */
  #tell<T>(id: string, call: (listener: RequestListener) => T): T | undefined {
    const active = this.#active.get(id);
    try {
      return active && call(active.listener);
    } catch (error) {
      this.#remove(id, "error");
      active!.listener.onError(asError(error));
      return undefined;
    }
  }

  #end(id: string, reason: FinishReason): void {
    const active = this.#remove(id, reason);
    try {
      active?.listener.onFinish(reason);
    } catch (error) {
      active!.listener.onError(asError(error));
    }
  }

  /** Forgets a request, which then is told of its end. Undefined when it has ended before. */
  #remove(id: string, reason: FinishReason): Active | undefined {
    const active = this.#active.get(id);
    if (!active) return undefined;
    this.#scheduler.finish(id, reason);
    this.#active.delete(id);
    if (this.#active.size === 0) this.#idleWaiters.wake();
    return active;
  }

  /** Every request fails; the step, which was not run, takes its place in the order of commits. */
  async #giveUp(step: ScheduledStep, error: OutOfMemoryError, previous: Promise<void>): Promise<void> {
    const failed = [...this.#active.values()];
    this.#active.clear();
    this.#scheduler.reset();
    for (const { listener } of failed) listener.onError(error);
    await previous;
    if (!this.#failure) this.#scheduler.commit(step, new Int32Array(step.samples.length));
    if (this.#active.size === 0) this.#idleWaiters.wake();
  }

  /** Every request fails, exactly once. */
  #die(cause: unknown): void {
    if (this.#failure) return;
    this.#state = "dead";
    this.#failure = asError(cause);
    this.#watchdog.stop();
    const failed = [...this.#active.values()];
    this.#active.clear();
    for (const { listener } of failed) listener.onError(this.#failure);
    this.#idleWaiters.wake();
    try {
      for (const { request } of failed) this.#scheduler.finish(request.id, "error");
    } catch {
      // The scheduler may be what failed. Nothing is planned any more.
    }
  }
}
