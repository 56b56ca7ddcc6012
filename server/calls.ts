/**
 * The requests that are open: how many may wait, how long they may take, and how they end. A call has one signal, which is what its
 * generations listen to: a client that leaves, a timeout and the end of the server all abort it.
 */
import type { Engine, EngineFormat } from "./engine.js";
import { clientGone, HttpError, unavailable } from "./errors.js";
import type { Version } from "./registry/version.js";

export interface CallLimits {
  /** Most requests of an engine that have no token yet. */
  readonly maxQueue: number;
  readonly timeoutMs: number;
}

export interface CallStart {
  readonly requestId: string;
  /** Whose prefixes it shares. */
  readonly tenant: string;
  /** That answers. */
  readonly version: Version;
  /** As the request has it. */
  readonly model: string;
  /** Fires when the client leaves. */
  readonly client: AbortSignal;
  /** An earlier try of the request: what it has told of the prompt's tokens is not told again. */
  readonly before?: Call | undefined;
}

/** What a call has used so far. */
export interface CallUsage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  /** Of these, thoughts. */
  reasoningTokens: number;
}

/** How a call ended. */
export interface CallEnd {
  readonly call: Call;
  readonly ms: number;
  readonly error: HttpError | undefined;
}

/** Who is told of all calls. */
export interface CallObserver {
  /** @param ms since the call began */
  onFirstToken?(call: Call, ms: number): void;
  /** @param ms since the token before it of the same answer */
  onNextToken?(call: Call, ms: number): void;
  /** So many tokens more of its prompts or answers are known. */
  onTokens?(call: Call, numTokens: number): void;
  onEnd?(end: CallEnd): void;
}

/** A call, or something else that is waited for. */
interface Open {
  readonly engine: Engine | undefined;
  abort(reason: HttpError): void;
}

export class Calls {
  readonly #limits: CallLimits;
  readonly #observers: readonly CallObserver[];
  readonly #open = new Set<Open>();
  /** By engine: calls that have no token yet. */
  readonly #waiting = new Map<Engine, number>();
  /** How long calls have waited of late, in milliseconds: a running mean. */
  #waitMs = 0;
  #isDraining = false;
  /** Told when a call ends. */
  #endWaiters: (() => void)[] = [];

  constructor(limits: CallLimits, observers: readonly CallObserver[]) {
    this.#limits = limits;
    this.#observers = observers;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** @throws HttpError 503 while the server ends, 429 when too many wait */
  begin(start: CallStart): Call {
    if (this.#isDraining) throw unavailable("the server is shutting down");
    const { engine } = start.version;
    const waiting = this.#waiting.get(engine) ?? 0;
    if (waiting >= this.#limits.maxQueue) {
      const retryAfterS = Math.min(60, Math.max(1, Math.ceil(this.#waitMs / 1000)));
      const message = `too many requests: ${waiting} are waiting; try again in ${retryAfterS} s`;
      throw new HttpError(429, message, { code: "queue_full", retryAfterS });
    }
    this.#waiting.set(engine, waiting + 1);
    const call = new Call(start, this.#limits.timeoutMs, {
      onLeaveQueue: (ms) => this.#leaveQueue(engine, ms),
      onFirstToken: (of, ms) => this.#tell((observer) => observer.onFirstToken?.(of, ms)),
      onNextToken: (of, ms) => this.#tell((observer) => observer.onNextToken?.(of, ms)),
      onTokens: (of, numTokens) => this.#tell((observer) => observer.onTokens?.(of, numTokens)),
      onEnd: (end) => this.#end(end),
    });
    this.#open.add(call);
    return call;
  }

  /**
   * Something else that is open: it is waited for and ended as calls are.
   *
   * @param abort ends it
   * @returns to be called when it has ended, once or more often
   * @throws HttpError 503 while the server ends
   */
  hold(abort: (reason: HttpError) => void): () => void {
    if (this.#isDraining) throw unavailable("the server is shutting down");
    const held = { abort, engine: undefined };
    this.#open.add(held);
    return () => this.#close(held);
  }

  /** Takes no more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** How many are open, of an engine if one is named. */
  numOpen(engine?: Engine): number {
    return this.#openOf(engine).length;
  }

  /** Resolves when no call is open, of an engine if one is named. */
  async idle(engine?: Engine): Promise<void> {
    while (this.numOpen(engine) > 0) await new Promise<void>((resolve) => this.#endWaiters.push(resolve));
  }

  /** Ends the calls that are open, in place of whoever waits for them. */
  abortAll(reason = unavailable("the server is shutting down"), engine?: Engine): void {
    for (const call of this.#openOf(engine)) call.abort(reason);
  }

  #openOf(engine: Engine | undefined): readonly Open[] {
    return [...this.#open].filter((call) => engine === undefined || call.engine === engine);
  }

  #tell(what: (observer: CallObserver) => void): void {
    for (const observer of this.#observers) what(observer);
  }

  #leaveQueue(engine: Engine, ms: number): void {
    const waiting = this.#waiting.get(engine)! - 1;
    if (waiting > 0) this.#waiting.set(engine, waiting);
    else this.#waiting.delete(engine); // which may be closed
    this.#waitMs += (ms - this.#waitMs) / 8;
  }

  #end(end: CallEnd): void {
    this.#tell((observer) => observer.onEnd?.(end));
    this.#close(end.call);
  }

  #close(open: Open): void {
    this.#open.delete(open);
    for (const resolve of this.#endWaiters.splice(0)) resolve();
  }
}

interface CallOwner extends Required<CallObserver> {
  /** @param ms that the call has waited */
  readonly onLeaveQueue: (ms: number) => void;
}

export class Call {
  readonly requestId: string;
  readonly tenant: string;
  readonly model: string;
  /** The version of the model that answers. */
  readonly variant: string;
  readonly engine: Engine;
  /** How it writes calls and thoughts. */
  readonly format: () => Promise<EngineFormat>;
  readonly usage: CallUsage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 };
  /** Of its answers. */
  readonly finishReasons: string[] = [];
  readonly #owner: CallOwner;
  readonly #start = performance.now();
  readonly #aborting = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #endWait: () => void;
  /** Tokens of prompts that observers know of, by this try or an earlier one. */
  #numTold: number;
  /** By answer, when its last token came. */
  readonly #lastTokens = new Map<string, number>();
  #isWaiting = true;
  #isOver = false;

  constructor(start: CallStart, timeoutMs: number, owner: CallOwner) {
    const { requestId, tenant, version, model, client, before } = start;
    this.#numTold = before ? before.#numTold : 0;
    this.requestId = requestId;
    this.tenant = tenant;
    this.variant = version.id;
    this.engine = version.engine;
    this.format = version.format;
    this.model = model;
    this.#owner = owner;
    const leave = (): void => this.abort(new HttpError(clientGone, "the client has gone"));
    const timeout = `the request took longer than ${timeoutMs / 1000} s`;
    this.#timer = setTimeout(() => this.abort(new HttpError(504, timeout, { code: "timeout" })), timeoutMs);
    client.addEventListener("abort", leave);
    this.#endWait = () => client.removeEventListener("abort", leave);
    if (client.aborted) leave();
  }

  get signal(): AbortSignal {
    return this.#aborting.signal;
  }

  /** Whether a token of an answer has come. */
  get hasToken(): boolean {
    return this.#lastTokens.size > 0;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why it was aborted. */
  get abortReason(): HttpError | undefined {
    return this.signal.aborted ? (this.signal.reason as HttpError) : undefined;
  }

  /** Ends what runs for it. Legal at any time. */
  abort(reason: HttpError): void {
    this.#aborting.abort(reason);
  }

  /** A token has come. @param answer which of the call's answers has it */
  token(answer: string): void {
    const now = performance.now();
    const before = this.#lastTokens.get(answer);
    this.#lastTokens.set(answer, now);
    if (before !== undefined) this.#owner.onNextToken(this, now - before);
    if (this.#lastTokens.size === 1 && before === undefined)
      this.#owner.onFirstToken(this, now - this.#start);
    this.#leaveQueue();
  }

  /** The length of a prompt is known. */
  countPrompt(numTokens: number): void {
    this.usage.promptTokens += numTokens;
    const untold = this.usage.promptTokens - this.#numTold;
    if (untold <= 0) return;
    this.#numTold += untold;
    this.#owner.onTokens(this, untold);
  }

  /** Tokens of an answer have come. */
  countAnswer(numTokens: number): void {
    this.usage.completionTokens += numTokens;
    this.#owner.onTokens(this, numTokens);
  }

  /** It does not wait any more. */
  #leaveQueue(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#owner.onLeaveQueue(performance.now() - this.#start);
  }

  /** The answer is complete, or has failed, which ends what still runs for it. Idempotent. */
  end(error?: HttpError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#endWait();
    this.#leaveQueue();
    this.#owner.onEnd({ call: this, ms: performance.now() - this.#start, error });
    if (error) this.abort(error);
  }
}
