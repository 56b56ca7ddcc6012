/**
 * Shadow traffic: requests that another version answers, too, for nobody, which shows how it does with what is really asked. The
 * request itself neither waits for it nor fails with it.
 */
import { Counter, Histogram, type Registry as MetricsRegistry } from "prom-client";
import { type Call, type CallEnd, type CallObserver, Calls } from "../calls.js";
import type { Engine } from "../engine.js";
import { type HttpError, unavailable } from "../errors.js";
import { asHttpError } from "../failures.js";
import type { RequestLog } from "../requestLog.js";
import type { Reply } from "../routes/answer.js";
import type { Registry } from "./registry.js";

/** Open at once; what comes meanwhile is dropped. */
const mostOpen = 16;

const labelNames = ["model_name", "variant"] as const;
const labelsOf = ({ model, variant }: Pick<Call, "model" | "variant">) => ({ model_name: model, variant });

class ShadowMetrics implements CallObserver {
  readonly #requests: Counter<"model_name" | "variant" | "outcome">;
  readonly #firstToken: Histogram<"model_name" | "variant">;
  readonly #latency: Histogram<"model_name" | "variant">;

  constructor(registry: MetricsRegistry, buckets: Readonly<Record<"firstToken" | "latencies", number[]>>) {
    const registers = [registry];
    this.#requests = new Counter({
      name: "warploop:shadow_requests_total",
      help: "Requests that a shadow was to answer, by what became of them",
      labelNames: [...labelNames, "outcome"],
      registers,
    });
    this.#firstToken = new Histogram({
      name: "warploop:shadow_time_to_first_token_seconds",
      help: "From request to a shadow's first token",
      ...{ labelNames, buckets: buckets.firstToken, registers },
    });
    this.#latency = new Histogram({
      name: "warploop:shadow_e2e_request_latency_seconds",
      help: "From request to the end of a shadow's answer",
      ...{ labelNames, buckets: buckets.latencies, registers },
    });
  }

  count(of: Pick<Call, "model" | "variant">, outcome: string): void {
    this.#requests.inc({ ...labelsOf(of), outcome });
  }

  onFirstToken(call: Call, ms: number): void {
    this.#firstToken.observe(labelsOf(call), ms / 1000);
  }

  onEnd({ call, ms, error }: CallEnd): void {
    this.count(call, outcomeOf(call, error));
    if (!error) this.#latency.observe(labelsOf(call), ms / 1000);
  }
}

function outcomeOf(call: Call, error: HttpError | undefined): string {
  if (!error) return "answered";
  if (error === call.abortReason && error.status === 503) return "aborted";
  return error.status < 500 ? "refused" : "failed";
}

export interface Shadowing {
  readonly registry: Registry;
  readonly log: RequestLog;
  readonly timeoutMs: number;
  readonly metrics: MetricsRegistry;
  /** Of histograms, in seconds. */
  readonly buckets: ConstructorParameters<typeof ShadowMetrics>[1];
}

export class Shadows {
  readonly #registry: Registry;
  readonly #log: RequestLog;
  readonly #metrics: ShadowMetrics;
  readonly #calls: Calls;

  constructor({ registry, log, timeoutMs, metrics, buckets }: Shadowing) {
    this.#registry = registry;
    this.#log = log;
    this.#metrics = new ShadowMetrics(metrics, buckets);
    this.#calls = new Calls({ maxQueue: mostOpen, timeoutMs }, [this.#metrics]);
  }

  /**
   * Gives a request to the shadow of its name, too, where that has one and this is of its share.
   * @param reply answers it once more
   */
  send({ requestId, tenant, model, engine }: Call, reply: (shadow: Call) => Promise<Reply>): void {
    const shadow = this.#registry.shadowOf(model);
    if (!shadow || shadow.version.engine === engine || Math.random() >= shadow.share) return;
    const { version } = shadow;
    if (this.#calls.isDraining || this.#calls.numOpen() >= mostOpen)
      return this.#metrics.count({ model, variant: version.id }, "dropped");
    const client = new AbortController().signal; // nobody waits
    const call = this.#calls.begin({ requestId: `${requestId}-shadow`, tenant, version, model, client });
    setImmediate(() => void this.#answer(call, reply));
  }

  /** Ends those of an engine; without one all, and no more begin. */
  async stop(engine?: Engine): Promise<void> {
    if (!engine) this.#calls.drain();
    this.#calls.abortAll(unavailable("the shadow was ended"), engine);
    await this.#calls.idle(engine);
  }

  /** Resolves when none is open. */
  async idle(): Promise<void> {
    await this.#calls.idle();
  }

  async #answer(call: Call, reply: (shadow: Call) => Promise<Reply>): Promise<void> {
    try {
      call.signal.throwIfAborted();
      const { events } = await reply(call);
      if (events) for await (const _ of events); // which goes nowhere
      call.end();
    } catch (cause) {
      const error = call.abortReason ?? asHttpError(cause);
      this.#log.failure(call.requestId, error);
      call.end(error);
    }
  }
}
