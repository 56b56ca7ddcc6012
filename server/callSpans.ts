/**
 * A span for each call, through the API of OpenTelemetry and by its conventions for generative AI (semantic conventions 1.36, "gen_ai"):
 * whoever runs the server registers an SDK, which also says where spans go and which headers carry a trace; without one nothing is
 * recorded. What was asked and answered is in no span.
 */
import {
  type Attributes,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from "@opentelemetry/api";
import type { Call, CallEnd, CallObserver } from "./calls.js";

/** As the conventions call what a route does. */
export type Operation = "chat" | "text_completion" | "embeddings";

/** Fields of requests by their attribute; of several the first that is there. */
const requestFields: Readonly<Record<string, readonly string[]>> = {
  "gen_ai.request.max_tokens": ["max_completion_tokens", "max_output_tokens", "max_tokens"],
  "gen_ai.request.temperature": ["temperature"],
  "gen_ai.request.top_p": ["top_p"],
  "gen_ai.request.top_k": ["top_k"],
  "gen_ai.request.seed": ["seed"],
  "gen_ai.request.frequency_penalty": ["frequency_penalty"],
  "gen_ai.request.presence_penalty": ["presence_penalty"],
  "gen_ai.request.choice.count": ["n"],
};

const headerGetter: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
};

export class CallSpans implements CallObserver {
  readonly #tracer = trace.getTracer("warploop");
  readonly #spans = new WeakMap<Call, Span>();

  /** @param headers of the request, which may name the span that it belongs to */
  begin(call: Call, operation: Operation, headers: Headers, body: Readonly<Record<string, unknown>>): void {
    const asked = Object.entries(requestFields).flatMap(([attribute, names]) => {
      const value = names.map((name) => body[name]).find((one) => typeof one === "number");
      return typeof value === "number" ? [[attribute, value] as const] : [];
    });
    const attributes: Attributes = {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": "warploop",
      "gen_ai.request.model": call.model,
      ...Object.fromEntries(asked),
      "warploop.request.id": call.requestId,
    };
    const parent = propagation.extract(context.active(), headers, headerGetter);
    const options = { kind: SpanKind.SERVER, attributes };
    this.#spans.set(call, this.#tracer.startSpan(`${operation} ${call.model}`, options, parent));
  }

  onFirstToken(call: Call, ms: number): void {
    this.#spans.get(call)?.setAttribute("gen_ai.latency.time_to_first_token", ms / 1000);
  }

  onEnd({ call, error }: CallEnd): void {
    const span = this.#spans.get(call);
    if (!span) return;
    const { promptTokens, completionTokens } = call.usage;
    span.setAttributes({
      "gen_ai.response.model": call.variant,
      "gen_ai.usage.input_tokens": promptTokens,
      "gen_ai.usage.output_tokens": completionTokens,
      ...(call.finishReasons.length > 0 && { "gen_ai.response.finish_reasons": [...call.finishReasons] }),
      ...(error && { "error.type": error.code ?? String(error.status) }),
    });
    if (error && error.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    span.end();
  }
}
