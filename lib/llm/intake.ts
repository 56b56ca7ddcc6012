/**
 * The way of a prompt to the engine: encoded, hashed and added in turns with everything else (eventLoop.ts), so that neither a
 * long prompt nor a burst of them stops the event loop. Until it is with the engine a generation can be aborted here.
 */
import { onAbort } from "../abortSignals.js";
import type { Engine } from "../engine/engine.js";
import { makeRequest, type RequestSpec } from "../engine/requestSpec.js";
import { TextError } from "../errors.js";
import { inTurns, type Steps, waitFor } from "../eventLoop.js";
import type { RenderedText } from "../text/renderJob.js";
import { asError } from "../thrown.js";
import { prepareStops, type StopSearch } from "../text/stopFinder.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { Grammars } from "../grammar/grammars.js";
import type { GenerateContext, Generation } from "./generateOptions.js";
import { GenerationChannel, type GenerationStream } from "./generationStream.js";
import { ChoiceOutput } from "./output.js";
import { Places } from "./places.js";
import { checkPrompt, checkPromptLength, type Prompt, promptTooLong } from "./prompt.js";
import { listenerOf } from "./requests.js";
import { HashList } from "../schedule/tokenList.js";
import { checkTokenIds } from "./validate.js";

/** A text for the tokenizer, or a function that starts to make it. */
export interface TextSource {
  readonly text: string | (() => Promise<RenderedText>);
  readonly addSpecialTokens: boolean;
}

/** Token ids that are checked, or a text. */
export type PromptSource = { readonly ids: Int32Array } | TextSource;

let nextRequest = 1;

export class Intake {
  readonly #engine: Engine;
  readonly #tokenizer: Tokenizer | null;
  readonly #context: GenerateContext;
  /** Generations whose prompts are on their way. */
  readonly #arrivals = new Map<Arrival, Promise<void>>();
  /** Work that begins more of them. */
  readonly #beginnings = new Set<Promise<void>>();
  /** Nothing more goes to the engine. */
  #isOver = false;

  readonly #places: Places;
  readonly #grammars: Grammars | undefined;

  /** @param places of the generations that begin here. Default: any number */
  constructor(
    engine: Engine,
    tokenizer: Tokenizer | null,
    context: GenerateContext,
    places = new Places(Infinity),
  ) {
    this.#grammars = tokenizer ? new Grammars(tokenizer, context.vocabSize) : undefined;
    this.#engine = engine;
    this.#tokenizer = tokenizer;
    this.#context = context;
    this.#places = places;
  }

  /** Starts a generation. @throws as begin; ArgumentTypeError, ArgumentRangeError for what is no prompt */
  beginPrompt(prompt: Prompt, generation: Generation): GenerationStream {
    const checked = checkPrompt(prompt, this.#context.vocabSize);
    const source = typeof checked === "string" ? { text: checked, addSpecialTokens: true } : { ids: checked };
    return this.begin(source, generation);
  }

  /**
   * Starts a generation; what is wrong with the prompt makes it fail.
   * @throws QueueFullError; TextError ERR_TOKENIZER for a text without a tokenizer
   */
  begin(source: PromptSource, generation: Generation): GenerationStream {
    if (!("ids" in source) && !this.#tokenizer) {
      const message = "the checkpoint has no tokenizer.json: give the prompt as token ids";
      throw new TextError("ERR_TOKENIZER", message);
    }
    this.#places.take(generation.n);
    const arrival = new Arrival(this.#engine, generation, () => this.#places.giveBack());
    const { signal } = generation;
    if ("ids" in source) arrival.promptLength = source.ids.length;
    if (signal?.aborted || this.#isOver) arrival.abort();
    const done = inTurns(this.#steps(source, arrival))
      .catch((error: unknown) => arrival.fail(error))
      .finally(() => this.#arrivals.delete(arrival));
    this.#arrivals.set(arrival, done);
    return arrival.stream;
  }

  /** Runs steps that begin many generations, in turns. */
  async beginAll(steps: Steps<void>): Promise<void> {
    const done = inTurns(steps);
    this.#beginnings.add(done);
    await done;
    this.#beginnings.delete(done);
  }

  /** Waits until no prompt is on its way, for up to `timeoutMs`, then aborts those that are, and those that still begin. */
  async drain(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    if (timeoutMs > 0 && this.#arrivals.size + this.#beginnings.size > 0) {
      const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
      const beginnings = Promise.all(this.#beginnings);
      await Promise.race([beginnings.then(() => Promise.all(this.#arrivals.values())), timeout]);
      clearTimeout(timer);
    }
    this.#isOver = true;
    for (const arrival of this.#arrivals.keys()) arrival.abort();
    await this.#grammars?.close();
  }

  *#steps(source: PromptSource, arrival: Arrival): Steps<void> {
    if (arrival.isAborted) return;
    const prompt = "ids" in source ? source.ids : yield* this.encode(source, arrival.signal);
    if (arrival.isAborted) return;
    arrival.promptLength = prompt.length;
    checkPromptLength("prompt", prompt.length, this.#context);
    const { stop, skipSpecialTokens } = arrival.generation;
    const stops = yield* prepareStops(stop, skipSpecialTokens ? this.#tokenizer : null);
    yield* arrival.enter(prompt, stops, this.#tokenizer, this.#grammars);
  }

  /**
   * The token ids of a text.
   *
   * @param name of the text, for errors
   * @param limit tokens that are too many; Infinity: none are
   * @throws ArgumentRangeError ERR_CONTEXT_LENGTH as soon as it is certain that the text has too many tokens
   */
  *encode(
    source: TextSource,
    signal?: AbortSignal,
    { name = "prompt", limit = this.#context.contextLength } = {},
  ): Steps<Int32Array> {
    const { addSpecialTokens } = source;
    const rendered = typeof source.text === "string" ? { text: source.text } : yield* waitFor(source.text());
    const { text, marker }: RenderedText = rendered;
    const { vocabSize } = this.#context;
    const tokenizer = this.#tokenizer!;
    // Nothing is certain of a shorter text.
    const least =
      text.length < limit ? 0 : tokenizer.leastTokens(marker ? text.replaceAll(marker, "") : text);
    if (least >= limit) throw promptTooLong(`at least ${least}`, this.#context, name);
    const ids = yield* tokenizer.encodeSteps(text, {
      ...{ addSpecialTokens, marker, limit },
      ...(signal && { signal }),
    });
    if (ids.length >= limit) throw promptTooLong(`at least ${ids.length}`, this.#context, name);
    return checkTokenIds(name, ids, vocabSize);
  }
}

/** One generation until the engine has all of it. */
class Arrival {
  readonly generation: Generation;
  readonly stream: GenerationChannel;
  promptLength = 0;
  readonly #engine: Engine;
  readonly #requestIds: readonly string[];
  /** Made for those who have to be told. */
  #aborting: AbortController | undefined;
  #isAborted = false;
  /** Stops listening to the caller's signal. */
  readonly #endWait: (() => void) | undefined;
  /** Tells that a continuation has ended. */
  readonly #tellEnd: () => void;
  #numAdded = 0;
  #numOpen: number;

  constructor(engine: Engine, generation: Generation, tellEnd: () => void) {
    const { n, signal } = generation;
    this.generation = generation;
    this.#tellEnd = tellEnd;
    this.#engine = engine;
    this.#requestIds = Array.from({ length: n }, () => `request-${nextRequest++}`);
    this.#numOpen = n;
    const abort = (): void => this.abort();
    this.stream = new GenerationChannel(this.#requestIds[0]!, n, abort);
    this.#endWait = signal && onAbort(signal, abort);
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  /** Fires when the generation is aborted; to be asked for before that. */
  get signal(): AbortSignal {
    this.#aborting ??= new AbortController();
    return this.#aborting.signal;
  }

  /** Ends what the engine has, and at once what it does not have yet. */
  abort(): void {
    if (this.isAborted) return;
    this.#isAborted = true;
    this.#aborting?.abort();
    for (const [index, id] of this.#requestIds.entries()) {
      if (index < this.#numAdded) {
        this.#engine.abort(id);
        continue;
      }
      const usage = { promptTokens: this.promptLength, cachedTokens: 0, completionTokens: 0 };
      const end = { finishReason: "abort", stopReason: null, usage } as const;
      this.stream.push({ index, text: "", tokenIds: [], ...end });
      this.#onEnd();
    }
    this.stream.start();
  }

  fail(error: unknown): void {
    if (this.isAborted) return;
    for (const id of this.#requestIds.slice(0, this.#numAdded)) this.#engine.abort(id);
    while (this.#numOpen > 0) this.#onEnd(); // those that the engine does not have
    this.stream.fail(asError(error));
  }

  /** Hands the continuations to the engine, one after another. They share the hashes of the prompt's pages. */
  *enter(
    prompt: Int32Array,
    stops: StopSearch,
    tokenizer: Tokenizer | null,
    grammars: Grammars | undefined,
  ): Steps<void> {
    const { generation, stream } = this;
    const { format } = generation;
    let hashes: HashList | undefined;
    for (const [index, id] of this.#requestIds.entries()) {
      if (this.isAborted) return;
      const constraint =
        format === undefined ? undefined : yield* waitFor(grammars!.constraint(format, prompt, this.signal));
      const spec: RequestSpec = { ...this.#specOf(index), constraint };
      const onEnd = (): void => {
        constraint?.[Symbol.dispose]();
        this.#onEnd();
      };
      let isTaken = false;
      try {
        const request = makeRequest(id, prompt, spec, hashes);
        if (hashes === undefined) {
          yield* this.#engine.hashPrompt(request);
          hashes = new HashList(request.pageHashes);
        }
        if (this.isAborted) return;
        const output = new ChoiceOutput(index, prompt, generation, tokenizer, stops);
        this.#engine.add(request, spec, listenerOf(request, output, stream, tokenizer, onEnd));
        isTaken = true;
      } finally {
        if (!isTaken) constraint?.[Symbol.dispose](); // the engine, which would end it, does not have it
      }
      this.#numAdded++;
      stream.start(prompt);
      // A prompt of one token has no position to wait for.
      if (spec.report.promptLogprobs !== undefined && prompt.length === 1) stream.setPromptLogprobs([null]);
      yield;
    }
  }

  /** Of a continuation: each has a seed of its own, and the first reports what is said of the prompt. */
  #specOf(index: number): RequestSpec {
    const { sampling, logprobs, promptLogprobs, maxTokens, stopTokenIds, cacheSalt, priority } =
      this.generation;
    return {
      schedule: { maxTokens, stopTokenIds, cacheSalt, priority },
      sampling: { ...sampling, seed: sampling.seed + index },
      report: {
        ...{ logprobs, promptLogprobs: index === 0 ? promptLogprobs : undefined },
        ...{ promptLogits: false, promptHidden: "none" },
      },
    };
  }

  #onEnd(): void {
    this.#tellEnd();
    if (--this.#numOpen === 0) this.#endWait?.();
  }
}
