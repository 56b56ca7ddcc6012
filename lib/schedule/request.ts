/**
 * One generation request as the scheduler sees it: its tokens, how far the device has got with them, and the blocks that
 * hold their KV. What runs next is always "tokens [cachedLen, deviceLen)": a prefix hit, a prefill chunk and a decode
 * differ only in these two numbers. Not responsible for who runs when (scheduler) or which pages (KvPages).
 *
 *     tokens on the device   [0 ........ cachedLen ........ deviceLen)
 *                             KV enqueued         to run
 *     ids known to the host  [0 ................ tokens.length)   deviceLen == tokens.length + inFlight - discarded while running
 */
import { ArgumentRangeError, ArgumentTypeError, WarploopError } from "../errors.js";
import type { CacheGroup, HeldBlocks } from "./cacheGroup.js";
import { HashList, TokenList } from "./tokenList.js";

/** Why a request ended. Every request ends with exactly one of them. */
export type FinishReason = "stop" | "length" | "abort" | "error";

/** "waiting" covers requests that were never admitted and preempted ones; "running" ones hold a row and blocks. */
export type RequestStatus = "waiting" | "running" | "finished";

/** What the scheduler has to know of a request besides its prompt. */
export interface RequestParams {
  /** Most tokens to generate, >= 1. */
  readonly maxTokens: number;
  /** Ids that end the request with "stop". The id itself is still reported. Default: none. */
  readonly stopTokenIds?: ReadonlySet<number>;
  /** Requests share cached prefixes only with requests of the same salt. Default "". */
  readonly cacheSalt?: string;
  /** Adapter whose weights made the KV; part of the cache key. Default "". */
  readonly adapterId?: string;
  /** Requests of a lower number come first, those of equal ones in order of arrival. Default 0. */
  readonly priority?: number;
  /** Compute every prompt position, whose logits or hidden states are asked for, not only where a token is sampled. */
  readonly promptLogits?: boolean;
}

/** Fields are written by the scheduler and KvPages only; everybody else reads. */
export class Request {
  readonly id: string;
  readonly params: RequestParams;
  /** Known ids: the prompt, then the generated tokens that have reached the host. Append only. */
  readonly tokens: TokenList;
  /** Tokens of the prompt, >= 1. */
  readonly promptLength: number;

  /** Tokens whose KV has been enqueued, in [0, deviceLen). */
  cachedLen = 0;
  /** Tokens present in the device token pool, sampled ids still in flight included; 0 without a row. */
  deviceLen = 0;
  /** Sampled ids that the host has not seen yet. */
  inFlight = 0;
  /** Row of the page table and of the token pool, -1 without one. Stable while running. */
  row = -1;
  /** By cache group: the blocks with its KV; empty without a row. */
  held: readonly HeldBlocks[] = [];
  /** The blocks of its slot, one for each layer that keeps one; empty without a row. */
  slot: readonly number[] = [];
  /** Lengths at which its slot is to be copied for the prefix cache, ascending; those that are past are dropped. */
  snapshotsAt: readonly number[] = [];
  /** Hashes of the leading full pages, extended on demand by the prefix cache. */
  readonly pageHashes: HashList;
  /** Prompt positions whose logits have been planned; survives preemption so that none is computed twice. */
  logitsPlanned = 0;
  /** Prompt tokens found in the prefix cache at the first admission; undefined before it. */
  hitLen: number | undefined;

  /** Sampled ids in flight that do not count: they follow from one that could not be sampled, or something else has come in their place. */
  discarded = 0;
  /** The first of the tokens that were appended and that its row has not got yet; Infinity: there is none. */
  appendedFrom = Infinity;
  /** Set when pages from the prefix cache may have been at fault: from then on everything is computed. */
  skipsCache = false;

  /** Tokens found in the prefix cache at the last admission. */
  foundLen = 0;

  /** Order of arrival, set by `Scheduler.add`. */
  arrivalIndex = -1;
  /** promptLength + generated tokens at which "length" ends the request, set by `Scheduler.add`. */
  maxLength = 0;
  status: RequestStatus = "waiting";
  finishReason: FinishReason | null = null;

  /**
   * @param id unique among the live requests
   * @param prompt token ids, at least one, each in [0, 2^31); an Int32Array is not copied and must not change
   * @param pageHashes of the leading pages, from another request with this prompt, salt and adapter
   * @throws ArgumentRangeError empty prompt, an id that is no int32 token id, maxTokens < 1
   * @throws ArgumentTypeError maxTokens is not a number
   */
  constructor(id: string, prompt: ArrayLike<number>, params: RequestParams, pageHashes?: HashList) {
    if (typeof params.maxTokens !== "number") {
      throw new ArgumentTypeError(
        `request ${id}: maxTokens: expected a number, got ${typeof params.maxTokens}`,
      );
    }
    if (!Number.isSafeInteger(params.maxTokens) || params.maxTokens < 1) {
      throw new ArgumentRangeError(
        `request ${id}: maxTokens: expected an integer >= 1, got ${params.maxTokens}`,
      );
    }
    if (prompt.length < 1) throw new ArgumentRangeError(`request ${id}: prompt: expected at least one token`);
    this.id = id;
    this.params = params;
    const ids = prompt instanceof Int32Array ? prompt : Int32Array.from(prompt);
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] === prompt[i] && ids[i]! >= 0) continue;
      throw new ArgumentRangeError(`request ${id}: prompt[${i}]: expected a token id, got ${prompt[i]}`);
    }
    this.tokens = new TokenList(ids);
    this.promptLength = prompt.length;
    this.pageHashes = new HashList(pageHashes);
  }

  /** The lower, the more urgent. */
  get priority(): number {
    return this.params.priority ?? 0;
  }

  /** Tokens that are on the device and not yet enqueued. 0 once the last token that may be sampled is in flight. */
  get remaining(): number {
    return this.deviceLen < this.maxLength ? this.deviceLen - this.cachedLen : 0;
  }

  /** True while positions of the prompt still need logits, which a prefix hit would skip. */
  get needsPromptLogits(): boolean {
    return this.params.promptLogits === true && this.logitsPlanned < this.promptLength;
  }

  /**
   * Enqueues the next `count` tokens. Reaching deviceLen samples one more token, which counts as present at once.
   * @returns whether a token is sampled
   * @throws WarploopError ERR_INTERNAL when count is not in [1, remaining]
   */
  advance(count: number): boolean {
    if (!Number.isInteger(count) || count < 1 || count > this.remaining) {
      throw new WarploopError("ERR_INTERNAL", `${this.id}: cannot run ${count} of ${this.remaining} tokens`);
    }
    this.cachedLen += count;
    this.logitsPlanned = Math.max(this.logitsPlanned, Math.min(this.cachedLen, this.promptLength));
    if (this.cachedLen < this.deviceLen) return false;
    this.deviceLen += 1;
    this.inFlight += 1;
    return true;
  }

  /**
   * Adds ids that come next, whatever the sample in flight is: that one does not count.
   * @throws WarploopError ERR_INTERNAL when the sample in flight is not the next token, or there is no room
   */
  append(ids: readonly number[]): void {
    const first = this.tokens.length;
    if (this.inFlight - this.discarded !== 1 || first + ids.length > this.maxLength) {
      const message = `${this.id}: cannot append ${ids.length} tokens to ${first} of ${this.maxLength}`;
      throw new WarploopError("ERR_INTERNAL", message);
    }
    this.discarded += 1;
    for (const id of ids) this.tokens.push(id);
    if (this.status !== "running") return; // its row will get all of them at once
    this.deviceLen = this.tokens.length;
    this.appendedFrom = first; // those before are there: a sample is in flight behind them
  }

  /** Why the id that was just added ends it; null: it does not. */
  reasonToEnd(tokenId: number): FinishReason | null {
    if (this.params.stopTokenIds?.has(tokenId)) return "stop";
    return this.tokens.length >= this.maxLength ? "length" : null;
  }

  /** What is wrong with a live request; empty when all is well. */
  findProblems(groups: readonly CacheGroup[]): string[] {
    const { id, tokens, cachedLen, deviceLen, held } = this;
    const inFlight = this.inFlight - this.discarded;
    if (this.status === "finished") return [`request ${id} has ended but is live`];
    if (this.status === "waiting") {
      const holds = this.row >= 0 || held.length + cachedLen + deviceLen > 0;
      return holds ? [`request ${id} waits but holds a row or blocks`] : [];
    }
    const problems: string[] = [];
    if (deviceLen !== tokens.length + inFlight) {
      problems.push(
        `request ${id}: deviceLen ${deviceLen} != ${tokens.length} known + ${inFlight} in flight`,
      );
    }
    if (cachedLen >= deviceLen)
      problems.push(`request ${id}: cachedLen ${cachedLen} >= deviceLen ${deviceLen}`);
    if (deviceLen > this.maxLength)
      problems.push(`request ${id}: deviceLen ${deviceLen} > limit ${this.maxLength}`);
    for (const group of groups) {
      const { first, blocks } = held[group.index]!;
      const [from, end] = [first * group.blockTokens, (first + blocks.length) * group.blockTokens];
      const owns = `request ${id}: group ${group.index} holds tokens [${from}, ${end})`;
      if (cachedLen > end || first > group.firstBlock(cachedLen)) problems.push(`${owns} of ${cachedLen}`);
      if (blocks.length > group.mostBlocks) problems.push(`${owns} for a window of ${group.window}`);
    }
    return problems;
  }
}
