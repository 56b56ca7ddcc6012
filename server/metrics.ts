/**
 * Metrics by the names that vLLM has for them, which dashboards and gateways read. What the engine counts is asked of it when they are
 * read; times are from monotonic clocks of this process. A number that is not known has no metric.
 */
import { Counter, Gauge, Histogram, type MetricConfiguration, Registry } from "prom-client";
import type { Call, CallEnd, CallObserver } from "./calls.js";
import { clientGone } from "./errors.js";
import type { Registry as ModelRegistry } from "./registry/registry.js";

type Labels = "model_name" | "engine" | "variant";
const labelNames = ["model_name", "engine", "variant"] as const;
export const latencies = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
];
export const firstToken = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
  2560,
];
const nextToken = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
];
const counts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

export class Metrics implements CallObserver {
  readonly #registry = new Registry();
  readonly #models: ModelRegistry;
  readonly #promptTokens = this.#counter("prompt_tokens_total", "Tokens of prompts");
  readonly #generationTokens = this.#counter("generation_tokens_total", "Tokens that were generated");
  readonly #success = new Counter({
    ...this.#named("request_success_total", "Answers, by why they ended"),
    labelNames: [...labelNames, "finished_reason"],
  });
  readonly #http = new Counter({
    name: "http_requests_total",
    help: "Responses",
    labelNames: ["handler", "method", "status"],
    registers: [this.#registry],
  });
  readonly #firstToken = this.#histogram(
    "time_to_first_token_seconds",
    "From request to first token",
    firstToken,
  );
  readonly #nextToken = this.#histogram(
    "inter_token_latency_seconds",
    "From token to token of an answer",
    nextToken,
  );
  readonly #latency = this.#histogram("e2e_request_latency_seconds", "From request to its end", latencies);
  readonly #promptLength = this.#histogram("request_prompt_tokens", "Tokens of prompts, by request", counts);
  readonly #answerLength = this.#histogram(
    "request_generation_tokens",
    "Tokens generated, by request",
    counts,
  );
  readonly #running = this.#gauge("num_requests_running", "Continuations in the batch");
  readonly #waiting = this.#gauge("num_requests_waiting", "Continuations that wait for a place in it");
  readonly #use = this.#gauge("kv_cache_usage_perc", "Share of the KV cache that is in use, 0 to 1");
  readonly #preemptions = this.#counter("num_preemptions_total", "Continuations that gave their memory up");
  readonly #restarts = new Counter({
    name: "warploop:engine_restarts_total",
    help: "Processes of an engine that were started in place of one that had ended",
    labelNames,
    registers: [this.#registry],
  });
  readonly #queries = this.#counter("prefix_cache_queries_total", "Tokens that were looked up");
  readonly #hits = this.#counter("prefix_cache_hits_total", "Tokens that were found");

  constructor(models: ModelRegistry) {
    this.#models = models;
  }

  /** Where others add theirs. */
  get registry(): Registry {
    return this.#registry;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of them, in the text format of Prometheus. */
  async text(): Promise<string> {
    await this.#askEngines();
    return this.#registry.metrics();
  }

  onFirstToken(call: Call, ms: number): void {
    this.#firstToken.observe(labelsOf(call), ms / 1000);
  }

  onNextToken(call: Call, ms: number): void {
    this.#nextToken.observe(labelsOf(call), ms / 1000);
  }

  onEnd({ call, ms, error }: CallEnd): void {
    const labels = labelsOf(call);
    const { promptTokens, completionTokens } = call.usage;
    this.#latency.observe(labels, ms / 1000);
    this.#promptTokens.inc(labels, promptTokens);
    this.#generationTokens.inc(labels, completionTokens);
    if (error)
      return this.#success.inc({
        ...labels,
        finished_reason: error.status === clientGone ? "abort" : "error",
      });
    this.#promptLength.observe(labels, promptTokens);
    this.#answerLength.observe(labels, completionTokens);
    for (const finished_reason of call.finishReasons) this.#success.inc({ ...labels, finished_reason });
  }

  /** @param handler the path of a route, of which there are few */
  onResponse(handler: string, method: string, status: number): void {
    this.#http.inc({ handler, method, status });
  }

  async #askEngines(): Promise<void> {
    const asked = this.#models.versions.map(async (version) => {
      const { id: variant, engine } = version;
      const labels = labelsOf({ model: this.#models.nameOf(version), variant });
      return [labels, await engine.stats(), engine.restarts] as const;
    });
    const answers = await Promise.all(asked);
    const counters = [this.#preemptions, this.#queries, this.#hits, this.#restarts];
    for (const one of [...counters, this.#running, this.#waiting, this.#use]) one.reset(); // an engine's counts are whole
    for (const [labels, stats, restarts] of answers) {
      const { running, waiting, usedPages, kvPages, preemptions, prefix } = stats;
      if (restarts !== undefined) this.#restarts.inc(labels, restarts);
      this.#running.set(labels, running);
      this.#waiting.set(labels, waiting);
      this.#use.set(labels, usedPages / Math.max(1, kvPages));
      this.#preemptions.inc(labels, preemptions);
      this.#queries.inc(labels, prefix.queries);
      this.#hits.inc(labels, prefix.hits);
    }
  }

  #named(name: string, help: string): Pick<MetricConfiguration<string>, "name" | "help" | "registers"> {
    return { name: `vllm:${name}`, help, registers: [this.#registry] };
  }

  #counter(name: string, help: string): Counter<Labels> {
    return new Counter({ ...this.#named(name, help), labelNames });
  }

  #gauge(name: string, help: string): Gauge<Labels> {
    return new Gauge({ ...this.#named(name, help), labelNames });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram<Labels> {
    return new Histogram({ ...this.#named(name, help), labelNames, buckets });
  }
}

/** By the names of vLLM, and the version that answers. */
const labelsOf = ({ model, variant }: Pick<Call, "model" | "variant">) => ({
  ...{ model_name: model, engine: "0", variant },
});
