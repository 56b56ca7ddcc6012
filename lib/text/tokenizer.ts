/**
 * Text to token ids and back, as tokenizer.json of a checkpoint says; the work is done by @huggingface/tokenizers. The file
 * is untrusted: it is checked first (tokenizerDefinition.ts), unknown regular expressions run under a time limit, and
 * whatever goes wrong is a TextError. Streaming is the detokenizer's business.
 */
import { Tokenizer as Engine } from "@huggingface/tokenizers";
import { describeError, type JsonObject } from "../checkpoint/json.js";
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { TextError } from "../errors.js";
import { inTurns, runNow, type Steps, waitFor } from "../eventLoop.js";
import { decodesInWindows } from "./decoderChain.js";
import { type LengthBound, lengthBound } from "./lengthBound.js";
import { type LibraryModel, placeModel } from "./libraryModel.js";
import { repairStages } from "./libraryRepairs.js";
import { charsAtOnce } from "./pieceTables.js";
import { controlTexts } from "./plainText.js";
import { type PreparedTokenizer, prepareTokenizer } from "./preparedTokenizer.js";
import { isKnownPattern, isSliceable, safePieces } from "./slicing.js";
import type { TokenizerConfig } from "./specialTokens.js";
import { TextTrie } from "./textTrie.js";
import { briefly, callLimitMs, withTimeLimit } from "./timeLimit.js";
import { concatIds } from "./tokenIds.js";
import { type Frame, noFrame, Tokenization } from "./tokenization.js";
import { readTokenizer } from "./tokenizerFolder.js";
import { tokenizerModel } from "./tokenizerModel.js";
import {
  type CheckedEncodeOptions,
  checkDecodeOptions,
  checkEncodeOptions,
  checkId,
  checkIds,
  checkText,
  type DecodeOptions,
  type EncodeOptions,
  type StepOptions,
} from "./tokenizerOptions.js";
import { TokenizerThread } from "./tokenizerThread.js";

export type { DecodeOptions, EncodeOptions } from "./tokenizerOptions.js";

/** Text that encodeSteps encodes at once, in UTF-16 units. Longer pieces of it than `charsAtOnce` are left to the thread. */
const sliceChars = 256;

export class Tokenizer {
  /** Path of tokenizer.json; named in errors. */
  readonly file: string;
  /** 1 + the largest id of a token. The vocabulary of the model may be padded beyond it. */
  readonly vocabSize: number;
  /** `bos_token` of tokenizer_config.json or special_tokens_map.json, and its id; undefined if there is none. */
  readonly bosToken: string | undefined;
  readonly bosId: number | undefined;
  /** `eos_token` of these files, and its id. */
  readonly eosToken: string | undefined;
  readonly eosId: number | undefined;
  /** That id, and the other one where the files disagree. config.json and generation_config.json may name more. */
  readonly eosIds: readonly number[];
  /** Ids that `decode` leaves out by default; and of all tokens that are added to the model's vocabulary, such as "<tool_call>". */
  readonly specialIds: ReadonlySet<number>;
  readonly addedIds: readonly number[];
  /** Texts that act on the model where they are found, such as "<|im_start|>": see plainText.ts. @internal */
  readonly controlTexts: readonly string[];
  /** Whether text can be decoded while tokens arrive. If not, the detokenizer hands it out at the end. */
  readonly decodesInWindows: boolean;
  readonly #engine: Engine;
  readonly #tokenization: Tokenization;
  /** Unknown regular expressions may take exponential time. */
  readonly #isTimeLimited: boolean;
  /** Undefined if texts cannot be encoded in pieces. */
  readonly #frame: Frame | undefined;
  readonly #specialTokens: TextTrie;
  readonly #lengthBound: LengthBound | undefined;
  readonly #thread: TokenizerThread;
  readonly #longChars: number;

  /** Everything must be checked. */
  private constructor(key: ConstructKey, prepared: PreparedTokenizer, model: LibraryModel | undefined) {
    requireKey(key, "Tokenizer", "Tokenizer.load(folder), or llm.tokenizer");
    const { definition, config, file, names, bpe } = prepared;
    const { byName, all, eos } = names;
    this.file = file;
    this.vocabSize = definition.vocabSize;
    this.decodesInWindows = decodesInWindows(definition);
    this.#isTimeLimited = !definition.regexes.every(isKnownPattern);
    // The library needs no more of the configuration: what else it would read is done here and in the tokenization.
    const libraryConfig = { eos_token: byName["eos_token"] };
    this.#engine = this.#attempt("read it", () => new Engine(definition.json, libraryConfig));
    if (model) placeModel(this.#engine, model, definition.addedTokens);
    const added = definition.addedTokens.map(({ content }) => content);
    repairStages(this.#engine, new Set(added));
    this.bosToken = byName["bos_token"];
    this.bosId = this.#idOf(this.bosToken);
    this.eosToken = byName["eos_token"];
    this.eosId = this.#idOf(this.eosToken);
    this.eosIds = eos.map((token) => this.tokenId(token)).filter((id) => id !== undefined);
    const named = Array.from(all.keys(), (token) => this.#idOf(token));
    this.addedIds = definition.addedTokens.map(({ id }) => id);
    const flagged = definition.addedTokens.filter((token) => token.special).map((token) => token.id);
    this.specialIds = new Set([...flagged, ...named.filter((id) => id !== undefined)]);
    const specials = Array.from(this.specialIds, (id) => this.tokenText(id) ?? "");
    this.#specialTokens = new TextTrie(specials);
    this.controlTexts = controlTexts(specials, added);
    this.#tokenization = this.#attempt(
      "read it",
      () => new Tokenization(this.#engine, definition, config, new Set(this.controlTexts)),
    );
    this.#frame = isSliceable(definition, config) ? this.#tokenization.frame() : undefined;
    this.#lengthBound = bpe && lengthBound(definition, config, bpe, this.#tokenization.addedTexts);
    this.#thread = new TokenizerThread(prepared);
    this.#longChars = charsAtOnce(prepared.pieces);
    // What would fail at the first request fails now.
    this.decode(this.encode("Hello, 1st\nworld! 안녕"));
  }

  /**
   * Reads tokenizer.json of a checkpoint, and what tokenizer_config.json, special_tokens_map.json and added_tokens.json add.
   *
   * @param folder path of the checkpoint folder
   * @returns null if there is no tokenizer.json: such a checkpoint takes and gives token ids
   * @throws TextError ERR_TOKENIZER naming the file
   */
  static async load(folder: string): Promise<Tokenizer | null> {
    checkText("Tokenizer.load: folder", folder);
    const prepared = await readTokenizer(folder);
    return prepared && inTurns(Tokenizer.make(prepared));
  }

  /**
   * Makes a tokenizer in steps.
   * @throws TextError ERR_TOKENIZER naming the file
   * @internal
   */
  static *make(prepared: PreparedTokenizer): Steps<Tokenizer> {
    return new Tokenizer(constructKey, prepared, yield* tokenizerModel(prepared));
  }

  /**
   * Makes a tokenizer from the text of tokenizer.json.
   *
   * @param json text of tokenizer.json
   * @param file named in errors
   * @param config content of tokenizer_config.json
   * @param others contents of special_tokens_map.json and added_tokens.json
   * @throws TextError ERR_TOKENIZER naming the file
   * @internal
   */
  static parse(
    json: string,
    file: string,
    config: JsonObject = {},
    { specialTokensMap = {}, addedTokens = {} }: Partial<TokenizerConfig> = {},
  ): Tokenizer {
    const files = { config, specialTokensMap, addedTokens };
    return runNow(Tokenizer.make(prepareTokenizer(json, file, files)));
  }

  /**
   * Encodes a text at once; 100 KB take some hundred ms, see encodeAsync.
   *
   * @returns token ids
   * @throws ArgumentTypeError if text is not a string, and for bad options; TextError ERR_TOKENIZER if the text cannot be encoded
   */
  encode(text: string, options: EncodeOptions = {}): Int32Array {
    checkText("encode: text", text);
    return this.#encode(text, checkEncodeOptions("encode", options));
  }

  #encode(text: string, { addSpecialTokens, marker }: CheckedEncodeOptions): Int32Array {
    return this.#attempt(
      "encode the text",
      () => this.#tokenization.encode(text, addSpecialTokens, marker),
      text.length,
    );
  }

  /**
   * Encodes a text piece by piece in turns with all other such work, so that the event loop runs in between. Equals
   * encode(text). A long text without a place to cut (slicing.ts), such as one very long word, long texts of unusual tokenizers, and
   * what a tokenizer's own regular expressions take more than a few ms for are encoded on another thread.
   *
   * @returns token ids
   * @throws as encode
   */
  async encodeAsync(text: string, options: EncodeOptions = {}): Promise<Int32Array> {
    checkText("encodeAsync: text", text);
    return inTurns(this.encodeSteps(text, checkEncodeOptions("encodeAsync", options)));
  }

  /** What encodeAsync does, to be run in turns. @throws as encode @internal */
  *encodeSteps(text: string, options: StepOptions = {}): Steps<Int32Array> {
    const { addSpecialTokens = true, marker, limit = Infinity, signal } = options;
    const frame = this.#frame;
    if (frame === undefined || text.length <= sliceChars) {
      return yield* this.#encodePiece(text, { addSpecialTokens, marker }, signal);
    }
    const { before, after } = addSpecialTokens ? frame : noFrame;
    const parts: (Int32Array | readonly number[])[] = [before];
    let numTokens = before.length + after.length;
    for (const piece of safePieces(text, sliceChars)) {
      if (piece !== undefined) {
        const ids = yield* this.#encodePiece(piece, { addSpecialTokens: false, marker }, signal);
        parts.push(ids);
        numTokens += ids.length;
        if (numTokens >= limit) break;
      }
      yield;
      if (signal?.aborted) break;
    }
    return concatIds([...parts, after]);
  }

  *#encodePiece(text: string, options: CheckedEncodeOptions, signal?: AbortSignal): Steps<Int32Array> {
    if (text.length <= this.#longChars) {
      if (!this.#isTimeLimited) return this.#encode(text, options);
      const { addSpecialTokens, marker } = options;
      const ids = briefly(() => this.#tokenization.encode(text, addSpecialTokens, marker));
      if (ids !== undefined) return ids;
    }
    return yield* waitFor(this.#thread.encode(text, options, signal));
  }

  /** Ends the thread that encodes long texts; the next such text starts another. @internal */
  endThread(): Promise<void> {
    return this.#thread.close();
  }

  /** A number of tokens that the text certainly has, known without encoding it. @throws ArgumentTypeError */
  leastTokens(text: string): number {
    checkText("leastTokens: text", text);
    return this.#lengthBound?.(text) ?? 0;
  }

  /**
   * Decodes token ids. Text is not cleaned up (`clean_up_tokenization_spaces` is ignored, as streaming servers do), so
   * decoding is the inverse of encoding. Bytes that are no UTF-8 become U+FFFD; ids without a token become nothing.
   *
   * @throws ArgumentRangeError if an id is no integer in [0, 2^31); ArgumentTypeError for what is no list, and for bad options;
   * TextError ERR_TOKENIZER if the decoder fails
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const skipSpecialTokens = checkDecodeOptions("decode", options);
    const shown = checkIds("decode: ids", ids).filter((id) => this.#hasText(id, skipSpecialTokens));
    // The library refuses an empty list.
    if (shown.length === 0) return "";
    const asIs = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
    return this.#attempt("decode the tokens", () => this.#engine.decode(shown, asIs), shown.length);
  }

  /** True if `decode` does not leave this id out. @throws as decode */
  hasText(id: number, options: DecodeOptions = {}): boolean {
    checkId("hasText: id", id);
    return this.#hasText(id, checkDecodeOptions("hasText", options));
  }

  #hasText(id: number, skipSpecialTokens: boolean): boolean {
    return this.#engine.id_to_token(id) !== undefined && !(skipSpecialTokens && this.specialIds.has(id));
  }

  /** True for a special token such as <|im_end|>. @throws ArgumentRangeError as hasText */
  isSpecial(id: number): boolean {
    checkId("isSpecial: id", id);
    return this.specialIds.has(id);
  }

  /** Id of a token given by its text in the vocabulary, such as "<|im_end|>"; undefined if there is none. @throws ArgumentTypeError */
  tokenId(token: string): number | undefined {
    checkText("tokenId: token", token);
    return this.#engine.token_to_id(token);
  }

  /** Text of a token in the vocabulary, such as "▁was"; undefined if there is none. @internal */
  tokenText(id: number): string | undefined {
    return this.#engine.id_to_token(id);
  }

  /** The longest special token that is spelled at index `at` of a text; undefined if none is. @internal */
  specialAt(text: string, at: number): string | undefined {
    return this.#specialTokens.longestAt(text, at);
  }

  /** What console.log shows. */
  toString(): string {
    return `Tokenizer of ${this.vocabSize} tokens from ${this.file}`;
  }

  #idOf(token: string | undefined): number | undefined {
    return token === undefined ? undefined : this.tokenId(token);
  }

  /** Runs the library on `numItems` characters or tokens; whatever it throws becomes a TextError. */
  #attempt<T>(what: string, run: () => T, numItems = 0): T {
    try {
      return this.#isTimeLimited ? withTimeLimit(run, callLimitMs(numItems)) : run();
    } catch (cause) {
      const message = `${this.file}: cannot ${what}: ${describeError(cause)}`;
      throw new TextError("ERR_TOKENIZER", message, this.file, { cause });
    }
  }
}

printsAsText(Tokenizer);
