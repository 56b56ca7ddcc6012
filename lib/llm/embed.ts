/**
 * Embeddings: what the model makes of a text, as one vector. A text is a request like any other, whose prompt alone is of interest, so that
 * texts are batched with each other and with generations; its hidden states behind the last norm are pooled here, on the host.
 */
import { onAbort } from "../abortSignals.js";
import { checkBoolean, describe, readArguments, readOptions } from "../arguments.js";
import { greedySpec, makeRequest, type RequestSpec } from "../engine/requestSpec.js";
import { ArgumentTypeError, SamplingError, TextError, WarploopError } from "../errors.js";
import type { Steps } from "../eventLoop.js";
import type { GenerateContext } from "./generateOptions.js";
import type { Intake } from "./intake.js";
import type { Parts } from "./parts.js";
import { checkPrompt, checkPromptLength, type Prompt } from "./prompt.js";
import { checkChoice, checkNumber, checkSignal } from "./validate.js";

export interface EmbedOptions {
  /** "last": the state of the last token (Qwen3-Embedding). "mean": the mean over all tokens. Default "last". */
  readonly pooling?: "last" | "mean" | undefined;
  /** Divide each vector by its Euclidean norm, so that a product of two is their cosine. Default true. */
  readonly normalize?: boolean | undefined;
  /** Keep the first so many numbers, before they are normalised: for models that are trained for it. Default: all. */
  readonly dimensions?: number | undefined;
  /** Aborts what has not ended; the call rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What embeddings need of a loaded model. */
export interface Embedder extends Pick<Parts, "engine" | "context" | "model"> {
  readonly intake: Intake;
}

type Pooling = Required<{
  readonly [K in "pooling" | "normalize" | "dimensions"]: NonNullable<EmbedOptions[K]>;
}>;

let nextEmbedding = 1;

/** @throws as LLM.embed does */
export async function embed(
  texts: readonly Prompt[],
  options: EmbedOptions,
  embedder: Embedder,
): Promise<Float32Array[]> {
  const names = ["pooling", "normalize", "dimensions", "signal"] as const;
  const wanted = readOptions("embed", options, names);
  const signal = checkSignal(wanted.signal);
  const { hiddenSize: D } = embedder.model.shape;
  const pooling: Pooling = {
    pooling: checkChoice("pooling", wanted.pooling, "last", ["last", "mean"]),
    normalize: checkBoolean("normalize", wanted.normalize, true),
    dimensions: checkNumber("dimensions", wanted.dimensions, D, { min: 1, max: D, integer: true }),
  };
  const prompts = checkTexts(texts, embedder.context);
  signal?.throwIfAborted();
  const batch = new Batch(embedder, pooling);
  const endWait = signal && onAbort(signal, () => batch.end(signal.reason));
  try {
    await embedder.intake.beginAll(batch.begin(prompts));
    return await batch.rows();
  } catch (error) {
    batch.end(error);
    throw error;
  } finally {
    endWait?.();
  }
}

/** Copies: what the caller changes meanwhile does not count. */
function checkTexts(texts: unknown, { vocabSize, hasTokenizer }: GenerateContext): (string | Int32Array)[] {
  return readArguments("texts", () => {
    if (!Array.isArray(texts))
      throw new ArgumentTypeError(`texts: expected an array, got ${describe(texts)}`);
    return Array.from(texts, (text, i) => {
      if (typeof text !== "string" || hasTokenizer) return checkPrompt(text, vocabSize, `texts[${i}]`);
      const message = "the checkpoint has no tokenizer.json: give the texts as token ids";
      throw new TextError("ERR_TOKENIZER", message);
    });
  });
}

/** The texts of one call. */
class Batch {
  readonly #embedder: Embedder;
  readonly #pooling: Pooling;
  readonly #rows: Promise<Float32Array>[] = [];
  /** Requests that are with the engine. */
  readonly #ids = new Set<string>();
  readonly #ending = new AbortController();

  constructor(embedder: Embedder, pooling: Pooling) {
    this.#embedder = embedder;
    this.#pooling = pooling;
  }

  /** Hands the texts to the engine, in turns of the event loop, until one of them fails. Throws nothing. */
  *begin(prompts: readonly (string | Int32Array)[]): Steps<void> {
    const { intake, engine, context } = this.#embedder;
    const { signal } = this.#ending;
    try {
      for (const [i, prompt] of prompts.entries()) {
        const name = `texts[${i}]`;
        const source = { text: prompt as string, addSpecialTokens: true };
        const ids = typeof prompt === "string" ? yield* intake.encode(source, signal, { name }) : prompt;
        if (signal.aborted) return;
        checkPromptLength(name, ids.length, context);
        const spec = greedySpec(1, { promptHidden: this.#pooling.pooling === "mean" ? "all" : "last" });
        const request = makeRequest(`embedding-${nextEmbedding++}`, ids, spec);
        yield* engine.hashPrompt(request);
        if (signal.aborted) return;
        this.#push(this.#embed(request, spec));
        yield;
      }
    } catch (error) {
      this.end(error);
    }
  }

  /** Ends what has not ended. The first reason is what `rows` rejects with. */
  end(reason: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    for (const id of this.#ids) this.#embedder.engine.abort(id);
  }

  async rows(): Promise<Float32Array[]> {
    const rows = await Promise.all(this.#rows);
    this.#ending.signal.throwIfAborted();
    return rows;
  }

  #push(row: Promise<Float32Array>): void {
    this.#rows.push(row);
    row.catch((error: unknown) => this.end(error));
  }

  #embed(request: ReturnType<typeof makeRequest>, spec: RequestSpec): Promise<Float32Array> {
    const { engine, model } = this.#embedder;
    const sum = new Float64Array(model.shape.hiddenSize);
    return new Promise<Float32Array>((resolve, reject) => {
      engine.add(request, spec, {
        onToken: () => undefined,
        onPrompt: ({ hidden }) => {
          if (this.#pooling.pooling === "last") sum.fill(0); // one that had to be computed again comes twice
          hidden?.forEach((value, d) => (sum[d]! += value));
        },
        onFinish: (reason) => {
          if (reason !== "abort") resolve(pool(sum, request, this.#pooling));
          else reject(this.#reason());
        },
        onError: reject,
      });
      this.#ids.add(request.id);
    }).finally(() => this.#ids.delete(request.id));
  }

  #reason(): Error {
    const { aborted, reason } = this.#ending.signal;
    return aborted ? (reason as Error) : new WarploopError("ERR_ABORTED", "embed: the model was closed");
  }
}

/** @param sum of the states that were asked for, [D] */
function pool(
  sum: Float64Array,
  { id, promptLength }: ReturnType<typeof makeRequest>,
  { pooling, normalize, dimensions }: Pooling,
): Float32Array {
  const kept = sum.subarray(0, dimensions);
  const norm = Math.hypot(...kept);
  if (!Number.isFinite(norm)) {
    const message = `${id}: the hidden states contain NaN or Infinity`;
    throw new SamplingError("ERR_NON_FINITE", message, id, promptLength);
  }
  const count = pooling === "mean" ? promptLength : 1;
  return Float32Array.from(kept, (value) => value / (normalize ? norm || 1 : count));
}
