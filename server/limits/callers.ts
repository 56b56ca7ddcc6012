/**
 * How much callers may ask: each API key by itself, or all callers together where no keys are asked for. A caller that is refused has
 * used nothing. There are as many callers as keys, so memory is bounded.
 */
import { nameOf } from "../apiKeys.js";
import type { Call, CallObserver } from "../calls.js";
import { HttpError } from "../errors.js";
import type { ResolvedApp } from "../options.js";
import { type KeyLimits, keyOf } from "./keyLimits.js";
import { TokenBucket } from "./tokenBucket.js";

export type LimitName = "open" | "requests" | "tokens";

export class Callers implements CallObserver {
  readonly #byName: ReadonlyMap<string, Caller>;

  /** @param now milliseconds of a monotonic clock */
  constructor({ apiKeys, limits }: Pick<ResolvedApp, "apiKeys" | "limits">, now = () => performance.now()) {
    const entries = (apiKeys ?? []).map((entry) => {
      const own = typeof entry === "string" ? {} : (entry.limits ?? {});
      const given = Object.entries(own).filter(([, limit]) => limit !== undefined);
      return [nameOf(keyOf(entry)), new Caller({ ...limits, ...Object.fromEntries(given) }, now)] as const;
    });
    this.#byName = new Map(apiKeys ? entries : [["", new Caller(limits, now)]]);
  }

  /** By the names that ApiKeys gives. */
  get all(): ReadonlyMap<string, Caller> {
    return this.#byName;
  }

  /** @param tenant as ApiKeys names it */
  of(tenant: string): Caller {
    return this.#byName.get(tenant)!;
  }

  onTokens({ tenant }: Call, numTokens: number): void {
    this.of(tenant).spend(numTokens);
  }
}

export class Caller {
  readonly refused: Record<LimitName, number> = { open: 0, requests: 0, tokens: 0 };
  readonly #maxOpen: number;
  readonly #requests: TokenBucket | undefined;
  readonly #tokens: TokenBucket | undefined;
  readonly #now: () => number;
  #numOpen = 0;
  #numTokens = 0;

  constructor({ maxOpen, requestsPerMinute, tokensPerMinute }: KeyLimits, now: () => number) {
    this.#maxOpen = maxOpen ?? Infinity;
    this.#requests = requestsPerMinute == null ? undefined : new TokenBucket(requestsPerMinute, now());
    this.#tokens = tokensPerMinute == null ? undefined : new TokenBucket(tokensPerMinute, now());
    this.#now = now;
  }

  get numOpen(): number {
    return this.#numOpen;
  }

  /** Since the start. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /**
   * A request begins.
   * @returns to be called when it has ended, once or more often
   * @throws HttpError 429
   */
  enter(): () => void {
    const now = this.#now();
    if (this.#numOpen >= this.#maxOpen)
      this.#refuse("open", `${this.#numOpen} requests are open, and more may not be`, 1000);
    const waits = this.#buckets.map(([name, bucket]) => ({ name, bucket, waitMs: bucket.waitMs(1, now) }));
    const [longest] = waits.sort((one, other) => other.waitMs - one.waitMs);
    if (longest && longest.waitMs > 0) {
      const { name, bucket, waitMs } = longest;
      this.#refuse(name, `the limit is ${bucket.size} ${name} in a minute`, waitMs);
    }
    this.#requests?.take(1, now);
    this.#numOpen++;
    let isOpen = true;
    return () => {
      if (isOpen) this.#numOpen--;
      isOpen = false;
    };
  }

  /** Tokens of its requests are known. */
  spend(numTokens: number): void {
    this.#numTokens += numTokens;
    this.#tokens?.take(numTokens, this.#now());
  }

  /** What is left, in OpenAI's headers. */
  headers(): Readonly<Record<string, string>> {
    const now = this.#now();
    const rows = this.#buckets.flatMap(([name, bucket]) => [
      [`x-ratelimit-limit-${name}`, String(bucket.size)] as const,
      [`x-ratelimit-remaining-${name}`, String(Math.max(0, Math.floor(bucket.level(now))))] as const,
      [`x-ratelimit-reset-${name}`, duration(bucket.waitMs(bucket.size, now))] as const,
    ]);
    return Object.fromEntries(rows);
  }

  get #buckets(): (readonly ["requests" | "tokens", TokenBucket])[] {
    const both = [["requests", this.#requests] as const, ["tokens", this.#tokens] as const];
    return both.flatMap(([name, bucket]) => (bucket ? [[name, bucket] as const] : []));
  }

  #refuse(limit: LimitName, why: string, waitMs: number): never {
    this.refused[limit]++;
    const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
    const message = `rate limit reached: ${why}; try again in ${retryAfterS} s`;
    throw new HttpError(429, message, { code: "rate_limit_exceeded", retryAfterS });
  }
}

/** As OpenAI writes it: "20ms", "1.5s", "6m0s". */
function duration(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return `${whole}ms`;
  const seconds = whole / 1000;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${Math.ceil(seconds % 60)}s`;
}
