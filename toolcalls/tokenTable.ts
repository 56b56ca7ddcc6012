/** What a parser asks of a tokenizer, as data: it may be read in another process than the tokenizer's. */
import type { Tokenizer } from "../lib/index.js";
import type { ChatFormat } from "./detect.js";
import { markersOf, states } from "./machine.js";
import type { Vocabulary } from "./tokenPieces.js";

export interface TokenTable {
  /** Markers that are tokens. */
  readonly markers: ReadonlyMap<string, number>;
  /** Texts of special tokens. */
  readonly special: ReadonlyMap<number, string>;
}

/** What the parser of a format asks of a tokenizer. */
export function tokenTableOf(
  tokenizer: Pick<Tokenizer, "tokenId" | "decode" | "specialIds">,
  { syntax, reasoning }: Pick<ChatFormat, "syntax" | "reasoning">,
): TokenTable {
  const ids = markersOf(states(syntax, reasoning)).map((text) => [text, tokenizer.tokenId(text)] as const);
  const special = Array.from(tokenizer.specialIds, (id) => {
    return [id, tokenizer.decode([id], { skipSpecialTokens: false })] as const;
  });
  return {
    markers: new Map(ids.filter((entry): entry is [string, number] => entry[1] !== undefined)),
    special: new Map(special),
  };
}

/** A vocabulary of that table. */
export class TableVocabulary implements Vocabulary {
  readonly #table: TokenTable;

  constructor(table: TokenTable) {
    this.#table = table;
  }

  tokenId(token: string): number | undefined {
    return this.#table.markers.get(token);
  }

  isSpecial(id: number): boolean {
    return this.#table.special.has(id);
  }

  /** Texts of special tokens; the parser asks for no others. */
  decode(ids: Iterable<number>): string {
    return Array.from(ids, (id) => this.#table.special.get(id) ?? "").join("");
  }
}
