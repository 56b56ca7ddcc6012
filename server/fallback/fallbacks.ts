/** Who answers a request when the model that it names does not: the same model once more, then others of its chain. */
import { setTimeout as sleep } from "node:timers/promises";
import { Counter, type Registry as MetricRegistry } from "prom-client";
import { ArgumentRangeError } from "../../lib/index.js";
import { HttpError } from "../errors.js";
import type { ResolvedApp } from "../options.js";
import type { NameState } from "../registry/state.js";
import type { FallbackServer } from "./options.js";
import { RetryBudget, retryDelayMs } from "./retryBudget.js";

/** A name that is served here, or another server. */
export type Target = string | FallbackServer;

/** How a request is tried; what is thrown has not reached its client. */
export interface Tries<T> {
  /** @throws HttpError */
  readonly ask: (target: Target) => Promise<T>;
  /** Whether the last one had a token of the answer when it failed. */
  readonly hadToken: () => boolean;
  /** Whether there is somebody to answer to, and requests are taken. */
  readonly goesOn: () => boolean;
}

/** Statuses of failures that another model may not have. */
const passing: readonly number[] = [429, 503, 504];

/** @param names that are served @throws ArgumentRangeError for others, and for what stands in for itself */
export function checkTargets(
  { fallback }: Pick<ResolvedApp, "fallback">,
  names: ReadonlyMap<string, NameState>,
): void {
  const modelsOf = (name: string): string => JSON.stringify(Object.keys(names.get(name)!.split).sort());
  for (const [name, chain] of Object.entries(fallback)) {
    const refused = (message: string) => new ArgumentRangeError(`options.fallback.${name}: ${message}`);
    const targets = chain.filter((target) => typeof target === "string");
    for (const of of [name, ...targets]) {
      if (names.has(of)) continue;
      const known = [...names.keys()].join(", ");
      throw refused(`expected names that are served (${known}), got ${JSON.stringify(of)}`);
    }
    const again = chain.find((target, i) => chain.findIndex((one) => isEqual(one, target)) < i);
    if (again !== undefined) throw refused(`expected each once, got ${labelOf(again)} twice`);
    const same = targets.find((target) => modelsOf(target) === modelsOf(name));
    if (same === undefined) continue;
    throw refused(`expected another model than that of ${name}, which ${JSON.stringify(same)} is, too`);
  }
}

export class Fallbacks {
  readonly #chains: ReadonlyMap<string, readonly Target[]>;
  readonly #retry: ResolvedApp["retry"];
  readonly #budgets = new Map<string, RetryBudget>();
  readonly #random: () => number;
  readonly #fallbacks: Counter<"model_name" | "target" | "reason">;
  readonly #retries: Counter<"model_name" | "reason">;

  /** @param random numbers of [0, 1) */
  constructor(
    { fallback, retry }: Pick<ResolvedApp, "fallback" | "retry">,
    metrics: MetricRegistry,
    random = () => Math.random(),
  ) {
    this.#chains = new Map(Object.entries(fallback));
    this.#retry = retry;
    this.#random = random;
    const registers = [metrics];
    this.#fallbacks = new Counter({
      name: "warploop:fallbacks_total",
      help: "Requests that went on to another model or server, by why",
      ...{ labelNames: ["model_name", "target", "reason"], registers },
    });
    this.#retries = new Counter({
      name: "warploop:retries_total",
      help: "Requests that were tried once more with the same model, by why",
      ...{ labelNames: ["model_name", "reason"], registers },
    });
  }

  /** Whether a request for this model may be tried again, so that the head of its answer waits for a token. */
  guards(name: string): boolean {
    return this.#retry !== undefined || this.#chains.has(name);
  }

  /**
   * Asks until somebody answers.
   *
   * @param takes whether a target has the route
   * @throws HttpError what the model said; of others only what is wrong with the request
   */
  async answer<T>(name: string, takes: (target: Target) => boolean, tries: Tries<T>): Promise<T> {
    let first: HttpError | undefined;
    for (const target of [name, ...(this.#chains.get(name) ?? []).filter(takes)]) {
      if (first) this.#fallbacks.inc({ model_name: name, target: labelOf(target), reason: reasonOf(first) });
      try {
        return await this.#persist(target, tries);
      } catch (error) {
        const isGone = target !== name && (error as HttpError).status === 404; // it was served when the server began
        if (!(error instanceof HttpError) || !(isGone || passing.includes(error.status))) throw error;
        first ??= error;
        if (!tries.goesOn()) break;
      }
    }
    throw first!;
  }

  /** The same target, as often as it may be. */
  async #persist<T>(target: Target, { ask, hadToken, goesOn }: Tries<T>): Promise<T> {
    if (typeof target !== "string" || !this.#retry) return ask(target);
    const budget = this.#budgets.get(target) ?? new RetryBudget(this.#retry.share);
    this.#budgets.set(target, budget);
    budget.fill();
    for (let attempt = 0; ; attempt++) {
      try {
        return await ask(target);
      } catch (error) {
        const mayPass = error instanceof HttpError && error.status === 503 && !hadToken();
        if (!mayPass || attempt >= this.#retry.max || !goesOn() || !budget.take()) throw error;
        this.#retries.inc({ model_name: target, reason: reasonOf(error) });
        await sleep(retryDelayMs(attempt, this.#random));
        if (!goesOn()) throw error;
      }
    }
  }
}

/** Whether asking both is asking the same twice. */
function isEqual(one: Target, other: Target): boolean {
  if (typeof one === "string" || typeof other === "string") return one === other;
  const base = ({ url }: FallbackServer): string => new URL(url).href.replace(/\/+$/, "");
  return one.model === other.model && base(one) === base(other);
}

const reasonOf = ({ code, status }: HttpError): string => code ?? String(status);

/** In metrics. */
function labelOf(target: Target): string {
  return typeof target === "string" ? target : `${target.model} at ${new URL(target.url).host}`;
}
