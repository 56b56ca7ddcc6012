// A vocabulary of single characters and some longer tokens, and outputs as its tokens.
import type { OutputChunk, Vocabulary } from "../../toolcalls/tokenPieces.js";

const firstId = 0x110000;

export class ToyVocabulary implements Vocabulary {
  readonly #tokens: readonly string[];
  readonly #special: ReadonlySet<string>;

  /** @param special of the tokens */
  constructor(tokens: readonly string[], special: readonly string[]) {
    this.#tokens = [...tokens, ...special];
    this.#special = new Set(special);
  }

  tokenId(token: string): number | undefined {
    const index = this.#tokens.indexOf(token);
    if (index >= 0) return firstId + index;
    return [...token].length === 1 ? token.codePointAt(0) : undefined;
  }

  isSpecial(id: number): boolean {
    return id >= firstId && this.#special.has(this.#textOf(id));
  }

  decode(ids: Iterable<number>, { skipSpecialTokens = true } = {}): string {
    return [...ids].map((id) => (skipSpecialTokens && this.isSpecial(id) ? "" : this.#textOf(id))).join("");
  }

  /** A chunk for each token, as a generation gives them. @param spelled nothing is taken as a longer token */
  chunks(text: string, spelled = false): OutputChunk[] {
    const chunks: OutputChunk[] = [];
    for (let at = 0; at < text.length;) {
      const longer = this.#tokens.filter((token) => !spelled && text.startsWith(token, at));
      const token =
        longer.sort((a, b) => b.length - a.length)[0] ?? String.fromCodePoint(text.codePointAt(at)!);
      chunks.push({ text: token, tokenIds: [this.tokenId(token)!] });
      at += token.length;
    }
    return chunks;
  }

  #textOf(id: number): string {
    return id < firstId ? String.fromCodePoint(id) : this.#tokens[id - firstId]!;
  }
}
