/**
 * How well a model predicts a text: the mean negative log likelihood of its tokens. A text that is longer than the context is read in
 * windows that overlap, one request after another, and every token is predicted once: in the first window that it is in, from all that
 * stands before it there.
 */
import { readOptions } from "../arguments.js";
import type { Engine } from "../engine/engine.js";
import { greedySpec, makeRequest } from "../engine/requestSpec.js";
import { ArgumentRangeError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import { requireHead } from "./generateOptions.js";
import type { Prompt } from "./prompt.js";
import { promptIds, type PromptReader } from "./promptIds.js";
import { runRequest } from "./requests.js";
import { checkNumber, checkSignal } from "./validate.js";

export interface PerplexityOptions {
  /** Tokens of a window, 2 to one less than the context. Default: as many as that. */
  readonly window?: number | undefined;
  /**
   * Tokens from the beginning of a window to that of the next, 1 to window - 1: behind the first window each token is predicted from at
   * least window - stride before it. Default: half of the window.
   */
  readonly stride?: number | undefined;
  /** Ends it; the call rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface Perplexity {
  /** Mean negative log likelihood of a token, in nats. */
  readonly nll: number;
  /** e^nll */
  readonly perplexity: number;
  /** Tokens that were predicted: all but the first. */
  readonly tokens: number;
}

/** What it needs of a loaded model. */
export interface Predictor extends PromptReader {
  readonly engine: Engine;
}

let nextWindow = 1;

/** @throws as LLM.perplexity does */
export async function perplexity(
  text: Prompt,
  options: PerplexityOptions,
  predictor: Predictor,
): Promise<Perplexity> {
  const { engine, context } = predictor;
  requireHead(context);
  const wanted = readOptions("perplexity", options, ["window", "stride", "signal"]);
  const signal = checkSignal(wanted.signal);
  const longest = context.contextLength - 1; // the engine samples a token behind it
  const least = Math.min(2, longest);
  const window = checkNumber("window", wanted.window, longest, { min: least, max: longest, integer: true });
  const strides = { min: 1, max: Math.max(1, window - 1), integer: true };
  const stride = checkNumber("stride", wanted.stride, Math.ceil(window / 2), strides);
  const ids = await promptIds(text, predictor, { name: "text", signal, limit: Infinity });
  if (ids.length < 2 || window < 2) {
    const what = window < 2 ? "a context of at least 3 tokens" : "a text of at least two tokens";
    throw new ArgumentRangeError(
      `perplexity: expected ${what}, got ${Math.min(ids.length, context.contextLength)}`,
    );
  }
  let sum = 0;
  for (let begin = 0, known = 1; known < ids.length; begin += stride) {
    signal?.throwIfAborted();
    const end = Math.min(begin + window, ids.length);
    const logprobs = await predict(engine, ids.subarray(begin, end), signal);
    for (; known < end; known++) sum -= logprobs[known - begin]!;
  }
  const tokens = ids.length - 1;
  return { nll: sum / tokens, perplexity: Math.exp(sum / tokens), tokens };
}

/** Log probabilities of a window's tokens, [T]; that of the first is no number. */
async function predict(
  engine: Engine,
  ids: Int32Array,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const spec = greedySpec(1, { promptLogprobs: 0 });
  const request = makeRequest(`perplexity-${nextWindow++}`, ids, spec);
  await inTurns(engine.hashPrompt(request));
  const logprobs = new Float64Array(ids.length).fill(NaN);
  await runRequest(engine, request, spec, {
    ...{ caller: "perplexity", signal },
    onPrompt: ({ position, logprobs: row }) => {
      if (row) logprobs[position + 1] = row.chosen; // one that had to be computed again comes twice
    },
  });
  return logprobs;
}
