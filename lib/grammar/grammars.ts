/** The grammars that the requests of a model ask for: compiled once, on another thread and within limits, and kept while there is room. */
import { onAbort } from "../abortSignals.js";
import type { Constraint } from "../engine/constraint.js";
import { ArgumentRangeError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import { JobFailure, JobThread } from "../text/jobThread.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { GrammarJob, GrammarReply } from "./grammarWorker.js";
import { forcedTokens } from "./forcedTokens.js";
import { nameOf } from "./format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "./matcher.js";
import type { Thoughts, ThoughtState } from "./tags/part.js";
import type { ControlToken } from "./syntax/controlTokens.js";
import { controlTokens, tokenBytes } from "./tokenBytes.js";

const maxGrammars = 64;
const compileLimitMs = 5000;
const heapMiB = 512;
/** Of a format that is read with others of its size; schemas of tools are shorter. */
const mostShortChars = 8192;
/** Of one jump, which is one sequence's part of a step. */
const mostForcedBytes = 256;
/** A step of its own brings one, so that a jump of one saves nothing; and the last token is left to sampling. */
const fewestForced = 2;
const fewestForcedBytes = fewestForced + 1;
/** Tokens that decide how the next ones are written. */
const numRecent = 4;
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

/** A grammar that is kept for the next request that asks for it, or has been. */
interface Kept {
  readonly key: string;
  readonly grammar: Promise<CompiledGrammar>;
  /** Ends its compilation: nobody waits for it any more. */
  readonly compiling: AbortController;
  isReady: boolean;
  /** Requests that wait for it: it is not given back before they have their matchers, which keep what they need. */
  waiting: number;
}

export class Grammars {
  readonly #tokenizer: Tokenizer;
  readonly #vocabSize: number;
  /** Short formats do not wait for long ones, which may take seconds. */
  readonly #threads = {
    short: grammarThread("warploop grammars"),
    long: grammarThread("warploop long grammars"),
  };
  /** By format, the one that was used last at the end. */
  readonly #byFormat = new Map<string, Kept>();
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
    this.#vocabulary ??= this.#readVocabulary().catch((error: unknown) => {
      this.#vocabulary = undefined; // the next request tries once more
      throw error;
    });
    const kept = this.#keptOf(format.json, this.#stateBehind(prompt, format));
    kept.waiting++;
    try {
      const [grammar, vocabulary] = await unlessAborted(
        Promise.all([kept.grammar, this.#vocabulary]),
        signal,
      );
      // One that has proved too complex has automata as large as they may be, which would not do for the next request either.
      const fail = (error: unknown): never => {
        this.#forget(kept);
        throw named(error, format.json);
      };
      const write = (before: readonly number[], bytes: Uint8Array): readonly number[] =>
        forcedTokens(this.#tokenizer, vocabulary, { before, bytes });
      return new MatcherConstraint(new Matcher(grammar, vocabulary), {
        vocabSize: this.#vocabSize,
        ...{ fail, write },
      });
    } finally {
      kept.waiting--;
      this.#endIdle(kept);
      this.#giveBack(kept);
    }
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#threads).map((thread) => thread.close()));
    for (const kept of this.#byFormat.values()) this.#forget(kept);
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

  #keptOf(format: string, state: ThoughtState): Kept {
    const key = `${state} ${format}`;
    let kept = this.#byFormat.get(key);
    this.#byFormat.delete(key);
    if (!kept) {
      const compiling = new AbortController();
      const grammar = this.#compile(format, state, compiling.signal);
      const made: Kept = { key, grammar, compiling, waiting: 0, isReady: false };
      grammar.then(
        () => (made.isReady = true),
        () => this.#forget(made), // a limit of time may be another one later
      );
      kept = made;
    }
    this.#byFormat.set(key, kept);
    if (this.#byFormat.size > maxGrammars) this.#forget(this.#byFormat.values().next().value!);
    return kept;
  }

  /** Others would wait for what nobody needs: there is one thread. */
  #endIdle(kept: Kept): void {
    if (kept.waiting > 0 || kept.isReady) return;
    this.#forget(kept);
    kept.compiling.abort();
  }

  #forget(kept: Kept): void {
    if (this.#byFormat.get(kept.key) !== kept) return; // it is already
    this.#byFormat.delete(kept.key);
    this.#giveBack(kept);
  }

  #giveBack(kept: Kept): void {
    if (kept.waiting > 0 || this.#byFormat.get(kept.key) === kept) return;
    kept.grammar.then(dispose, () => undefined);
  }

  async #compile(format: string, state: ThoughtState, signal: AbortSignal): Promise<CompiledGrammar> {
    this.#tokens ??= controlTokens(this.#tokenizer);
    let reply: GrammarReply;
    try {
      const thread = this.#threads[format.length > mostShortChars ? "long" : "short"];
      reply = await thread.run({ format, tokens: this.#tokens, state }, compileLimitMs, { signal });
    } catch (error) {
      if (!(error instanceof JobFailure) || (error.reason !== "time" && error.reason !== "memory"))
        throw error;
      throw new ArgumentRangeError(`${nameOf(format)}: it takes too much ${error.reason} to compile`);
    }
    if ("problem" in reply) throw new ArgumentRangeError(reply.problem);
    return CompiledGrammar.inBackground(reply.grammar).catch((error: unknown) => {
      throw named(error, format);
    });
  }
}

function grammarThread(name: string): JobThread<GrammarJob, GrammarReply> {
  return new JobThread(new URL("./grammarWorker.js", import.meta.url), { name, heapMiB });
}

interface ConstraintParts {
  readonly vocabSize: number;
  /** Called when the grammar proves too complex. @throws what is to be thrown instead */
  fail(error: unknown): never;
  /** Bytes as tokens, behind others (forcedTokens). */
  write(before: readonly number[], bytes: Uint8Array): readonly number[];
}

class MatcherConstraint implements GrammarConstraint {
  readonly vocabSize: number;
  readonly #matcher: Matcher;
  readonly #parts: ConstraintParts;
  /** The last tokens of the text. */
  readonly #recent: number[] = [];
  /** Those that come next, as far as that is known. */
  #forced: readonly number[] = [];

  constructor(matcher: Matcher, parts: ConstraintParts) {
    this.#matcher = matcher;
    this.vocabSize = parts.vocabSize;
    this.#parts = parts;
  }

  get isAccepting(): boolean {
    return this.#matcher.isAccepting;
  }

  prepare(): Promise<void> | undefined {
    if (this.#forced.length > 0) return undefined;
    const late = this.#within(() => this.#matcher.prepare(mostForcedBytes));
    return late?.catch((error: unknown) => this.#parts.fail(error));
  }

  fillMask(words: Int32Array): boolean {
    return this.#within(() => this.#matcher.fillMask(words));
  }

  forcedTokens(): readonly number[] {
    if (this.#forced.length > 0) return this.#forced;
    const bytes = this.#within(() => this.#matcher.forcedBytes(mostForcedBytes));
    if (bytes.length < fewestForcedBytes) return [];
    const tokens = this.#parts.write(this.#recent, bytes);
    return (this.#forced = tokens.length < fewestForced ? [] : tokens);
  }

  accept(token: number): boolean {
    const comes = this.#within(() => this.#matcher.accept(token));
    this.#forced = comes && token === this.#forced[0] ? this.#forced.slice(1) : [];
    if (comes) this.#recent.push(token);
    if (this.#recent.length > numRecent) this.#recent.shift();
    return comes;
  }

  rollback(count: number): void {
    this.#matcher.rollback(count);
    this.#forced = [];
    this.#recent.splice(Math.max(0, this.#recent.length - count));
  }

  [Symbol.dispose](): void {
    this.#matcher[Symbol.dispose]();
  }

  #within<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      return this.#parts.fail(error);
    }
  }
}

/** What the addon says of a grammar. @param json of the format */
function named(error: unknown, json: string): unknown {
  return error instanceof ArgumentRangeError
    ? new ArgumentRangeError(`${nameOf(json)}: ${error.message}`)
    : error;
}

/** @throws what the signal says, as soon as it fires */
function unlessAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return result;
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(signal.reason as Error);
    if (signal.aborted) fail();
    const endWait = onAbort(signal, fail);
    result.then(resolve, reject).finally(endWait);
  });
}

const dispose = (one: Disposable): void => one[Symbol.dispose]();
