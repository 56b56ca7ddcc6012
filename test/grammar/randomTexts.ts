// Texts of a format drawn token by token, each of the tokens that may come as likely as the others: no model, and hotter than any.
import { checkFormat, thoughtsOf, writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import type { ThoughtState } from "../../lib/grammar/tags/part.js";
import {
  controlBytes,
  type ControlToken,
  markerByte,
  specialByte,
} from "../../lib/grammar/syntax/controlTokens.js";
import type { OutputFormat } from "../../lib/index.js";
import type { Random } from "../support/random.js";

/** Bytes one by one, and these tokens behind them. */
export class ByteVocabulary {
  readonly controls: readonly ControlToken[];
  readonly grammarVocabulary: GrammarVocabulary;

  constructor(markers: readonly string[] = [], special: readonly string[] = []) {
    this.controls = [
      ...markers.map((text) => [text, markerByte] as const),
      ...special.map((text) => [text, specialByte] as const),
    ];
    const bytes = Array.from({ length: 256 }, (_, byte) =>
      Uint8Array.of(...(byte < markerByte ? [byte] : [])),
    );
    this.grammarVocabulary = new GrammarVocabulary([...bytes, ...this.controls.map(controlBytes)]);
  }

  /** As parsers ask. */
  tokenId(text: string): number | undefined {
    const at = this.controls.findIndex(([token]) => token === text);
    return at < 0 ? undefined : 256 + at;
  }

  isSpecial(id: number): boolean {
    return this.controls[id - 256]?.[1] === specialByte;
  }

  decode(ids: Iterable<number>): string {
    const bytes = Array.from(ids, (id) =>
      id < 256 ? Buffer.of(id) : Buffer.from(this.controls[id - 256]![0]),
    );
    return Buffer.concat(bytes).toString();
  }

  /** A text as ids, with the tokens in it as tokens. */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (let rest = text; rest !== "";) {
      const known = this.controls.find(([token]) => rest.startsWith(token));
      const piece = known?.[0] ?? String.fromCodePoint(rest.codePointAt(0)!);
      ids.push(...(known ? [this.tokenId(known[0])!] : Buffer.from(piece)));
      rest = rest.slice(piece.length);
    }
    return ids;
  }
}

export class RandomTexts implements Disposable {
  readonly #vocabulary: ByteVocabulary;
  readonly #grammar: CompiledGrammar;

  constructor(format: OutputFormat, vocabulary: ByteVocabulary, state: ThoughtState = "before") {
    this.#vocabulary = vocabulary;
    const json = checkFormat(format);
    thoughtsOf(format); // says what is wrong with them
    this.#grammar = new CompiledGrammar(writeFormat(json, { tokens: vocabulary.controls, state }));
  }

  /** @returns ids; undefined: it has become longer than `most` */
  draw(random: Random, most = 2000): number[] | undefined {
    using matcher = new Matcher(this.#grammar, this.#vocabulary.grammarVocabulary);
    const mask = new Int32Array(this.#vocabulary.grammarVocabulary.words);
    const ids: number[] = [];
    for (; ids.length < most;) {
      const isAny = matcher.fillMask(mask);
      if (matcher.isAccepting && (!isAny || random.integer(0, 3) === 0)) return ids;
      if (!isAny) throw new Error(`nothing may follow ${this.#vocabulary.decode(ids)}`);
      const allowed = [...Array(256 + this.#vocabulary.controls.length).keys()].filter(
        (id) => (mask[id >> 5]! >>> (id & 31)) & 1,
      );
      const id = allowed[random.integer(0, allowed.length)]!;
      ids.push(id);
      matcher.accept(id);
    }
    return undefined;
  }

  /** Whether a text may come, and end. */
  takes(text: string): boolean {
    using matcher = new Matcher(this.#grammar, this.#vocabulary.grammarVocabulary);
    return this.#vocabulary.encode(text).every((id) => matcher.accept(id)) && matcher.isAccepting;
  }

  [Symbol.dispose](): void {
    this.#grammar[Symbol.dispose]();
  }
}
