/**
 * Decides what each step runs: what runs already, then waiting requests, the most urgent first and of equal priority decodes, unfinished
 * prefills, arrivals in their order, all mixed under one token budget that leaves every decode its token. Steps may be planned before the results of earlier ones are known; lengths are exact
 * nevertheless, and a stop token is seen late, which costs one discarded result per step in flight.
 * Pure: no tensors, no clock, no I/O. Not responsible for running steps, nor for text (stop strings end a request through
 * `finish`).
 *
 * Progress: a preemption lets another request run that is no less urgent, or takes the blocks of one that has sampled since it was
 * admitted, and a lone request always fits. So every cycle of preemptions yields tokens, and `schedule` returns null only when
 * nothing is left to do before the next commit.
 */
import { ArgumentRangeError, CapacityError, WarploopError } from "../errors.js";
import type { Steps } from "../eventLoop.js";
import { KvPages, type KvStats } from "./kvPages.js";
import type { FinishReason, Request } from "./request.js";
import { RequestQueue } from "./requestQueue.js";
import { addRunning, byPriority } from "./running.js";
import { type CommittedToken, type ScheduledStep, StepBuilder } from "./scheduledStep.js";
import { maxAdmittedTokens, resolveSchedulerOptions, type SchedulerOptions } from "./schedulerOptions.js";
import { chooseVictim } from "./victim.js";

export interface SchedulerStats extends KvStats {
  readonly running: number;
  readonly waiting: number;
  /** Since the start. */
  readonly preemptions: number;
  readonly stepsInFlight: number;
}

export class Scheduler {
  readonly #options: ReturnType<typeof resolveSchedulerOptions>;
  readonly #kv: KvPages;
  readonly #live = new Map<string, Request>();
  readonly #waiting = new RequestQueue();
  /** In the order of running.ts. */
  readonly #running: Request[] = [];
  readonly #freeRows: number[] = [];
  #arrivals = 0;
  #stepsPlanned = 0;
  #stepsCommitted = 0;
  #preemptions = 0;

  /** @throws ArgumentTypeError, ArgumentRangeError a bad option */
  constructor(options: SchedulerOptions) {
    this.#options = resolveSchedulerOptions(options);
    this.#kv = new KvPages(this.#options);
    for (let row = this.#options.maxSequences - 1; row >= 0; row--) this.#freeRows.push(row);
  }

  /** Requests that have not ended. */
  get requests(): Iterable<Request> {
    return this.#live.values();
  }

  /** Prefixes that others read and fill; undefined without a prefix cache. */
  get loans(): KvPages["loans"] {
    return this.#kv.loans;
  }

  get stats(): SchedulerStats {
    return {
      ...this.#kv.stats,
      running: this.#running.length,
      waiting: this.#waiting.size,
      preemptions: this.#preemptions,
      stepsInFlight: this.#stepsPlanned - this.#stepsCommitted,
    };
  }

  /**
   * Queues a request.
   * @throws ArgumentRangeError ERR_CONTEXT_LENGTH: the prompt leaves no room for a token; ERR_ARGUMENT_RANGE: the id is in
   *   use, or the request was added before
   * @throws CapacityError at its longest the request would need more blocks than exist
   */
  add(request: Request): void {
    const { maxModelLen } = this.#options;
    if (this.#live.has(request.id)) throw new ArgumentRangeError(`${request.id}: the id is in use`);
    if (request.arrivalIndex >= 0) throw new ArgumentRangeError(`${request.id}: was added before`);
    if (request.promptLength >= maxModelLen) {
      throw new ArgumentRangeError(
        `${request.id}: the prompt has ${request.promptLength} tokens, the context ${maxModelLen}, ` +
          "of which at least one must be left to generate",
        "ERR_CONTEXT_LENGTH",
      );
    }
    request.maxLength = Math.min(request.promptLength + request.params.maxTokens, maxModelLen);
    const needed = this.#kv.lifetimeBlocks(request);
    if (needed > this.#kv.capacity) {
      throw new CapacityError(
        `${request.id}: ${request.maxLength} tokens need ${needed} KV pages, there are ${this.#kv.capacity}`,
      );
    }
    request.arrivalIndex = this.#arrivals++;
    this.#live.set(request.id, request);
    this.#waiting.push(request);
  }

  /** Prepares a request before it is added, in steps; `schedule` does what is left. */
  hashPrompt(request: Request): Steps<void> {
    return this.#kv.hashPrompt(request);
  }

  /**
   * Plans the next step. The caller must run every step it gets, in order.
   * @returns null when nothing can run before a step is committed or a request added
   */
  schedule(): ScheduledStep | null {
    const step = new StepBuilder(this.#kv.groups);
    for (const requests of byPriority(this.#running)) this.#planRunning(step, requests);
    this.#admitWaiting(step);
    // Only now, so that no other request of this same step reads blocks that the step itself fills.
    const copies = this.#kv.endStep();
    if (step.isEmpty) return null;
    const planned = step.build(this.#stepsPlanned++, this.#options.maxSequences, copies);
    for (const { request } of planned.sequences) this.#kv.seal(request);
    return planned;
  }

  /**
   * Takes the results of the oldest step in flight.
   * @param sampledIds one id per entry of `step.samples`, in order; further entries (padding) are ignored
   * @returns the tokens that count, in order: results of requests that have ended meanwhile are discarded
   * @throws WarploopError ERR_INTERNAL when the step is not the oldest in flight
   * @throws ArgumentRangeError too few ids; nothing is changed
   */
  commit(step: ScheduledStep, sampledIds: ArrayLike<number>): CommittedToken[] {
    if (step.index !== this.#stepsCommitted || step.index >= this.#stepsPlanned) {
      const message = `commit of step ${step.index}, expected ${this.#stepsCommitted}`;
      throw new WarploopError("ERR_INTERNAL", message);
    }
    if (sampledIds.length < step.samples.length) {
      const message = `commit: expected ${step.samples.length} sampled ids, got ${sampledIds.length}`;
      throw new ArgumentRangeError(message);
    }
    this.#stepsCommitted += 1;
    const committed: CommittedToken[] = [];
    for (const [sampleIndex, request] of step.samples.map(({ sequence }) => sequence.request).entries()) {
      request.inFlight -= 1;
      const isDiscarded = request.discarded > 0;
      if (isDiscarded) request.discarded -= 1;
      if (isDiscarded || request.status === "finished") continue;
      const tokenId = sampledIds[sampleIndex]!;
      const position = request.tokens.push(tokenId) - 1;
      const finishReason = request.reasonToEnd(tokenId);
      this.#kv.seal(request);
      if (finishReason !== null) this.#end(request, finishReason);
      committed.push({ request, tokenId, position, sampleIndex, finishReason });
    }
    return committed;
  }

  /** Ids that come next, whatever is sampled (Request.append). @returns why the last of them ended it; null: it did not */
  append(request: Request, ids: readonly number[]): FinishReason | null {
    request.append(ids);
    this.#kv.seal(request);
    const reason = request.reasonToEnd(ids.at(-1)!);
    if (reason !== null) this.#end(request, reason);
    return reason;
  }

  /**
   * Ends a request in whatever state it is: waiting, prefilling, decoding, preempted, with results in flight.
   * @returns true when this call ended it, false when the id is unknown or has ended before
   */
  finish(id: string, reason: FinishReason): boolean {
    const request = this.#live.get(id);
    if (request === undefined) return false;
    this.#end(request, reason);
    return true;
  }

  /**
   * A sample of this request met logits that are not finite. The prefix cache forgets its pages, and if it had any from there,
   * they may be at fault: it starts over without them, once. To be called before the step is committed.
   * @returns false when the request has to end
   */
  startOver(request: Request): boolean {
    // Late results of what failed before: equal pages that others have registered since are none of theirs.
    if (request.discarded > 0 || request.finishReason === "error") return true;
    this.#kv.unregister(request);
    if (request.status === "finished") return true;
    if (request.skipsCache || request.foundLen === 0) return false;
    request.skipsCache = true;
    request.discarded = request.inFlight;
    if (request.status === "running") this.#preempt(request);
    return true;
  }

  /**
   * Ends every request and forgets every page: a step that was planned could not be run, so nothing is there of what later
   * ones build upon. Steps in flight are still committed, in order, and their results discarded.
   */
  reset(): void {
    for (const request of [...this.#live.values()]) this.#end(request, "error");
    this.#kv.forget();
  }

  /**
   * Checks that no page or row is lost or held twice and that requests agree with their pages. For tests and idle time.
   * @throws WarploopError ERR_INTEGRITY that lists what is wrong
   */
  checkIntegrity(): void {
    this.#kv.checkIntegrity(this.#running);
    const problems: string[] = [];
    const rows = new Set([...this.#freeRows, ...this.#running.map((request) => request.row)]);
    if (
      rows.size !== this.#options.maxSequences ||
      this.#freeRows.length + this.#running.length !== rows.size
    ) {
      problems.push(
        `free rows [${this.#freeRows}] and rows in use do not add up to ${this.#options.maxSequences}`,
      );
    }
    if (this.#live.size !== this.#running.length + this.#waiting.size) {
      problems.push(
        `${this.#live.size} live != ${this.#running.length} running + ${this.#waiting.size} waiting`,
      );
    }
    for (const request of this.#live.values()) problems.push(...request.findProblems(this.#kv.groups));
    if (problems.length > 0) throw new WarploopError("ERR_INTEGRITY", `scheduler: ${problems.join("; ")}`);
  }

  /** @param requests of one priority that run */
  #planRunning(step: StepBuilder, requests: readonly Request[]): void {
    for (const request of requests) {
      // Prefilling, waiting for its last token, or preempted for a request before it (then nothing remains).
      if (request.remaining === 1) this.#planTokens(step, request, 1);
    }
    const { priority } = requests[0]!;
    const isLater = (one: Request): boolean => one.priority > priority && one.remaining === 1;
    const budget = this.#options.maxStepTokens - this.#running.filter(isLater).length;
    for (const request of requests) {
      if (step.numTokens >= budget) return;
      if (request.remaining > 0 && !step.includes(request)) this.#planChunk(step, request, budget);
    }
  }

  #admitWaiting(step: StepBuilder): void {
    let numKnown = 0;
    while (step.numTokens < this.#options.maxStepTokens && this.#freeRows.length > 0) {
      const request = this.#waiting.head;
      // Strictly in order: passing a large request over could starve it. One that was preempted has to know all its
      // tokens before they can be run again.
      if (request === undefined || request.inFlight > 0) return;
      if (!this.#kv.admit(request, this.#running.length)) return;
      this.#waiting.remove(request);
      request.status = "running";
      request.row = this.#freeRows.pop()!;
      addRunning(this.#running, request);
      step.addAdmission(request);
      this.#planChunk(step, request, this.#options.maxStepTokens);
      numKnown += request.tokens.length;
      if (numKnown >= maxAdmittedTokens) return;
    }
  }

  /** @param budget tokens of the step when it is full, more than it has */
  #planChunk(step: StepBuilder, request: Request, budget: number): void {
    const most = Math.min(this.#options.chunkTokens, this.#kv.tokensToSnapshot(request));
    this.#planTokens(step, request, Math.min(request.remaining, budget - step.numTokens, most));
  }

  /** The next `count` tokens of a running request, at the expense of others if need be, unless the request itself has to go. */
  #planTokens(step: StepBuilder, request: Request, count: number): void {
    while (!this.#kv.extend(request, count)) {
      const victim = chooseVictim(this.#running, step, request, this.#kv);
      this.#preempt(victim);
      if (victim === request) return;
    }
    step.addBlocks(request);
    step.addChunk(request, count);
    this.#kv.noteProgress(request);
  }

  #preempt(request: Request): void {
    this.#leaveRow(request);
    request.status = "waiting";
    this.#waiting.reinsert(request);
    this.#preemptions += 1;
  }

  #end(request: Request, reason: FinishReason): void {
    if (request.status === "running") this.#leaveRow(request);
    else this.#waiting.remove(request);
    this.#live.delete(request.id);
    request.status = "finished";
    request.finishReason = reason;
  }

  #leaveRow(request: Request): void {
    this.#kv.release(request);
    this.#running.splice(this.#running.indexOf(request), 1);
    this.#freeRows.push(request.row);
    request.row = -1;
  }
}
