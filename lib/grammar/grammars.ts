/** The grammars that the requests of a model ask for: compiled once, on another thread and within limits, and kept while there is room. */
import type { Constraint } from "../engine/constraint.js";
import { ArgumentRangeError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import { JobFailure, JobThread } from "../text/jobThread.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { GrammarJob, GrammarReply } from "./grammarWorker.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "./matcher.js";
import type { Thoughts, ThoughtState } from "./tags/part.js";
import type { ControlToken } from "./syntax/controlTokens.js";
import { controlTokens, tokenBytes } from "./tokenBytes.js";

const maxGrammars = 64;
const compileLimitMs = 5000;
const heapMiB = 512;
/** Tokens that a marker at the end of a prompt and line breaks behind it have at most. */
const numMarkerTokens = 16;

/** A format as it was asked for. */
export interface CheckedFormat {
  /** Of checkFormat. */
  readonly json: string;
  /** What may come before. */
  readonly thoughts: Thoughts | undefined;
}

/** A constraint that ends with its request. */
export interface GrammarConstraint extends Constraint, Disposable {}

export class Grammars {
  readonly #tokenizer: Tokenizer;
  readonly #vocabSize: number;
  readonly #thread = new JobThread<GrammarJob, GrammarReply>(new URL("./grammarWorker.js", import.meta.url), {
    ...{ name: "warploop grammars", heapMiB },
  });
  /** By format, the one that was used last at the end. */
  readonly #byFormat = new Map<string, Promise<CompiledGrammar>>();
  #vocabulary: Promise<GrammarVocabulary> | undefined;
  #tokens: readonly ControlToken[] | undefined;

  /** @param vocabSize of the model */
  constructor(tokenizer: Tokenizer, vocabSize: number) {
    this.#tokenizer = tokenizer;
    this.#vocabSize = vocabSize;
  }

  /**
   * @param prompt that the text goes on
   * @throws ArgumentRangeError for what is not supported, and what is too complex
   */
  async constraint(
    format: CheckedFormat,
    prompt: Int32Array,
    signal?: AbortSignal,
  ): Promise<GrammarConstraint> {
    this.#vocabulary ??= this.#readVocabulary();
    const compiled = this.#grammarOf(format.json, this.#stateBehind(prompt, format));
    const [grammar, vocabulary] = await Promise.all([compiled, this.#vocabulary]);
    signal?.throwIfAborted();
    return new MatcherConstraint(new Matcher(grammar, vocabulary), this.#vocabSize);
  }

  async close(): Promise<void> {
    await this.#thread.close();
    for (const grammar of this.#byFormat.values()) grammar.then(dispose, () => undefined);
    this.#byFormat.clear();
    this.#vocabulary?.then(dispose, () => undefined);
  }

  async #readVocabulary(): Promise<GrammarVocabulary> {
    return GrammarVocabulary.inBackground(await inTurns(tokenBytes(this.#tokenizer, this.#vocabSize)));
  }

  /** Line breaks behind a marker do not count. */
  #stateBehind(prompt: Int32Array, { thoughts }: CheckedFormat): ThoughtState {
    if (thoughts?.inPrompt !== true) return "before";
    const end = this.#tokenizer
      .decode(prompt.subarray(-numMarkerTokens), { skipSpecialTokens: false })
      .trimEnd();
    if (end.endsWith(thoughts.open)) return "open";
    return end.endsWith(thoughts.close) ? "over" : "before";
  }

  #grammarOf(format: string, state: ThoughtState): Promise<CompiledGrammar> {
    const key = `${state} ${format}`;
    const known = this.#byFormat.get(key);
    this.#byFormat.delete(key);
    const grammar = known ?? this.#compile(format, state);
    this.#byFormat.set(key, grammar);
    grammar.catch(() => this.#byFormat.delete(key)); // a limit of time may be another one later
    if (this.#byFormat.size > maxGrammars) {
      const [oldest, unused] = this.#byFormat.entries().next().value!;
      this.#byFormat.delete(oldest);
      unused.then(dispose, () => undefined); // its matchers keep what they need
    }
    return grammar;
  }

  async #compile(format: string, state: ThoughtState): Promise<CompiledGrammar> {
    this.#tokens ??= controlTokens(this.#tokenizer);
    let reply: GrammarReply;
    try {
      reply = await this.#thread.run({ format, tokens: this.#tokens, state }, compileLimitMs);
    } catch (error) {
      if (!(error instanceof JobFailure) || (error.reason !== "time" && error.reason !== "memory"))
        throw error;
      throw new ArgumentRangeError(`format: it takes too much ${error.reason} to compile`);
    }
    if ("problem" in reply) throw new ArgumentRangeError(reply.problem);
    return CompiledGrammar.inBackground(reply.grammar);
  }
}

class MatcherConstraint implements GrammarConstraint {
  readonly vocabSize: number;
  readonly #matcher: Matcher;

  constructor(matcher: Matcher, vocabSize: number) {
    this.#matcher = matcher;
    this.vocabSize = vocabSize;
  }

  get isAccepting(): boolean {
    return this.#matcher.isAccepting;
  }

  fillMask(words: Int32Array): boolean {
    return this.#matcher.fillMask(words);
  }

  accept(token: number): boolean {
    return this.#matcher.accept(token);
  }

  rollback(count: number): void {
    this.#matcher.rollback(count);
  }

  [Symbol.dispose](): void {
    this.#matcher[Symbol.dispose]();
  }
}

const dispose = (one: Disposable): void => one[Symbol.dispose]();
