/**
 * From a text to its tokens, stage by stage: added tokens are cut out, the rest is normalized, added tokens that are found in
 * normalized text are cut out, what is left is split and given to the model. Each stage is @huggingface/tokenizers; the order,
 * and the cutting (addedTokens.ts), are those of its Rust original, which the JavaScript library follows only in part.
 */
import type { Tokenizer as Engine } from "@huggingface/tokenizers";
import type { JsonObject } from "../checkpoint/json.js";
import { AddedTokenSplitter } from "./addedTokens.js";
import { type Around, aroundText, textPlace } from "./postProcessor.js";
import { TextTrie } from "./textTrie.js";
import { concatIds } from "./tokenIds.js";
import type { AddedTokenDefinition, TokenizerDefinition } from "./tokenizerDefinition.js";

/** Ids that the post-processor puts around every text. */
export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export const noFrame: Frame = { before: [], after: [] };

export class Tokenization {
  /** Texts by which added tokens are found: as they are, or normalized. */
  readonly addedTexts: readonly string[];
  readonly #engine: Engine;
  readonly #around: Around;
  readonly #raw: AddedTokenSplitter;
  readonly #normalized: AddedTokenSplitter;
  /** The same for texts with a marker: control tokens are found as they are spelled, and not in normalized text. */
  readonly #rawMarked: AddedTokenSplitter;
  readonly #normalizedMarked: AddedTokenSplitter;
  readonly #controls: TextTrie;
  /** Contents of all added tokens. */
  readonly #added: ReadonlySet<string>;
  readonly #removesSpace: boolean;
  readonly #removesCase: boolean;

  /**
   * @param config tokenizer_config.json
   * @param controls contents of the tokens that a marker keeps from being found
   * @throws Error if the post-processor adds a token that has no id
   */
  constructor(
    engine: Engine,
    { addedTokens, stages: { normalizer: normalizers, post_processor: postProcessors } }: TokenizerDefinition,
    config: JsonObject,
    controls: ReadonlySet<string>,
  ) {
    const found =
      config["split_special_tokens"] === true ? addedTokens.filter(({ special }) => !special) : addedTokens;
    const texts = (tokens: readonly AddedTokenDefinition[], textOf: (text: string) => string) =>
      new AddedTokenSplitter(tokens.map((token) => [textOf(token.content), token]));
    const normalize = (text: string): string => engine.normalizer?.normalize(text) ?? text;
    this.addedTexts = found.map(({ content, normalized }) => (normalized ? normalize(content) : content));
    this.#engine = engine;
    this.#around = aroundText(postProcessors, (token) => engine.token_to_id(token));
    this.#added = new Set(addedTokens.map(({ content }) => content));
    this.#removesSpace = config["remove_space"] === true;
    this.#removesCase = config["do_lowercase_and_remove_accent"] === true;
    this.#raw = texts(
      found.filter(({ normalized }) => !normalized),
      (text) => text,
    );
    this.#normalized = texts(
      found.filter(({ normalized }) => normalized),
      normalize,
    );
    // What a normalizer makes of other text, such as full-width letters, was not marked and must not become a control token.
    const isLoose = ({ content, normalized }: AddedTokenDefinition): boolean =>
      normalized && (!controls.has(content) || keepsSpelling(normalizers, content, config));
    const firm = found.filter((token) => !isLoose(token));
    const isSame = firm.length === found.filter(({ normalized }) => !normalized).length;
    this.#rawMarked = isSame ? this.#raw : texts(firm, (text) => text);
    this.#normalizedMarked = isSame ? this.#normalized : texts(found.filter(isLoose), normalize);
    this.#controls = new TextTrie(controls);
  }

  /**
   * @param addSpecialTokens whether the post-processor adds its tokens
   * @param marker a character that is taken out once added tokens were cut out, and keeps them from being found before
   * @throws what the library throws; Error if the vocabulary has no token for a part of the text, not even the unknown one
   */
  encode(text: string, addSpecialTokens: boolean, marker?: string): Int32Array {
    const tokens: string[] = [];
    const raw = marker === undefined ? this.#raw : this.#rawMarked;
    for (const section of raw.split(text)) {
      if (section.token === null) this.#addText(section.text, section.start === 0, marker, tokens);
      else tokens.push(section.token.content);
    }
    const unknownId = this.#engine.model?.unk_token_id;
    const ids = tokens.map((token) => this.#engine.token_to_id(token) ?? unknownId);
    if (!ids.every(isId)) throw new Error("the vocabulary has no token for a part of it");
    const around = addSpecialTokens ? this.#around : this.#around.filter((item) => item === textPlace);
    return concatIds(around.map((item) => (item === textPlace ? ids : [item])));
  }

  /** Undefined if the post-processor does more than to put tokens before and after the text. */
  frame(): Frame | undefined {
    const at = this.#around.indexOf(textPlace);
    const [before, after] = [this.#around.slice(0, at), this.#around.slice(at + 1)];
    return at >= 0 && before.every(isNumber) && after.every(isNumber) ? { before, after } : undefined;
  }

  #addText(text: string, isFirst: boolean, marker: string | undefined, tokens: string[]): void {
    const normalized = marker === undefined ? this.#normalized : this.#normalizedMarked;
    for (const section of normalized.split(this.#normalize(text))) {
      if (section.token !== null) {
        tokens.push(section.token.content);
        continue;
      }
      // The library asks for the index of the section only to tell the first from the others.
      const section_index = isFirst && section.start === 0 ? 0 : 1;
      const plain = marker === undefined ? section.text : section.text.replaceAll(marker, "");
      let found = this.#tokensOf(plain, section_index);
      if (marker !== undefined && found.some((token) => this.#added.has(token))) {
        // The vocabulary has the token as an ordinary piece, too (Unigram): it is cut.
        found = this.#cutControls(plain).flatMap((part, i) =>
          this.#tokensOf(part, i === 0 ? section_index : 1),
        );
      }
      for (const token of found) tokens.push(token);
    }
  }

  /** The text in parts that end behind the first character of every control token. */
  #cutControls(text: string): readonly string[] {
    const ends = Array.from(
      this.#controls.findAll(text),
      ({ at, found }) => at + Array.from(found)[0]!.length,
    );
    return [0, ...ends].map((start, i) => text.slice(start, ends[i]));
  }

  #tokensOf(text: string, section_index: number): readonly string[] {
    if (text === "") return [];
    const { pre_tokenizer: preTokenizer, model } = this.#engine;
    return model!._call(preTokenizer?.pre_tokenize(text, { section_index }) ?? [text]);
  }

  #normalize(text: string): string {
    let normalized = text;
    if (this.#removesSpace) normalized = normalized.trim().split(/\s+/).join(" ");
    if (this.#removesCase) normalized = normalized.toLowerCase().replace(/\p{M}/gu, "");
    return this.#engine.normalizer?.normalize(normalized) ?? normalized;
  }
}

/** True if no text becomes the token by being normalized, except by what holds the token itself. */
function keepsSpelling(stages: readonly JsonObject[], token: string, config: JsonObject): boolean {
  if (config["remove_space"] === true || config["do_lowercase_and_remove_accent"] === true) return false;
  // SentencePiece's: a character before the text, and another in place of the space.
  return stages.every((stage) => {
    if (stage["type"] === "Prepend") return true;
    const { String: pattern } = stage["type"] === "Replace" ? (stage["pattern"] as JsonObject) : {};
    return (
      pattern === " " &&
      stage["content"] !== "" &&
      !token.includes(stage["content"] as string) &&
      !token.includes(" ")
    );
  });
}

function isId(id: number | undefined): id is number {
  return id !== undefined;
}

function isNumber(item: Around[number]): item is number {
  return item !== textPlace;
}
