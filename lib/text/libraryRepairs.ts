/**
 * Puts right what stages of @huggingface/tokenizers do otherwise than their Rust originals and what no rewriting of the file
 * (libraryStages.ts) can say: behaviors of Split, what counts as white space, and texts of bytes.
 */
import * as library from "@huggingface/tokenizers";
import { byteChars } from "./byteChars.js";

declare class Stage {
  readonly normalizers?: readonly (Stage | null)[];
  readonly tokenizers?: readonly (Stage | null)[];
  readonly decoders?: readonly (Stage | null)[];
}
declare class Strip extends Stage {
  readonly config: { readonly strip_left?: boolean; readonly strip_right?: boolean };
  normalize(text: string): string;
}
declare class Split extends Stage {
  readonly config: { readonly behavior?: string | null; readonly invert?: boolean | null };
  readonly pattern: RegExp;
  pre_tokenize_text(text: string): string[];
}
declare class ByteLevelSplit extends Stage {
  pattern: RegExp;
}
declare class ByteFallback extends Stage {
  text_decoder: typeof utf8;
}
declare class ByteLevelDecoder extends Stage {
  decode_chain(tokens: readonly string[]): string[];
}
type Class<Instance> = abstract new (...args: never[]) => Instance;
// The library's types do not resolve with NodeNext.
const classes = library as unknown as {
  readonly StripNormalizer: Class<Strip>;
  readonly SplitPreTokenizer: Class<Split>;
  readonly ByteLevelPreTokenizer: Class<ByteLevelSplit>;
  readonly ByteFallbackDecoder: Class<ByteFallback>;
  readonly ByteLevelDecoder: Class<ByteLevelDecoder>;
};

/**
 * @param engine whose stages are changed
 * @param added contents of added tokens: they are text, also where every character of theirs stands for a byte
 */
export function repairStages(engine: library.Tokenizer, added: ReadonlySet<string>): void {
  const { normalizer, pre_tokenizer: preTokenizer, decoder } = engine as unknown as Record<string, Stage>;
  for (const stage of [...leaves(normalizer), ...leaves(preTokenizer), ...leaves(decoder)]) {
    if (stage instanceof classes.StripNormalizer) {
      stage.normalize = (text) => strip(text, stage.config);
    } else if (stage instanceof classes.SplitPreTokenizer) {
      const [behavior, invert] = [stage.config.behavior ?? "Isolated", stage.config.invert === true];
      if (behavior === "Isolated" && !invert) continue; // the one that the library has
      stage.pre_tokenize_text = (text) => splitText(text, stage.pattern, behavior, invert);
    } else if (stage instanceof classes.ByteLevelPreTokenizer) {
      stage.pattern = bytesPattern;
    } else if (stage instanceof classes.ByteFallbackDecoder) {
      stage.text_decoder = utf8;
    } else if (stage instanceof classes.ByteLevelDecoder) {
      stage.decode_chain = (tokens) => [textOfBytes(tokens, added)];
    }
  }
}

function leaves(stage: Stage | null | undefined): Stage[] {
  if (!stage) return [];
  const members = stage.normalizers ?? stage.tokenizers ?? stage.decoders;
  return members ? members.flatMap(leaves) : [stage];
}

function strip(text: string, { strip_left: left, strip_right: right }: Strip["config"]): string {
  let [start, end] = [0, text.length];
  if (left) while (start < end && isWhiteSpace(text.charAt(start))) start++;
  if (right) while (end > start && isWhiteSpace(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

const whiteSpace = /^\p{White_Space}$/u;
const isWhiteSpace = (character: string): boolean => whiteSpace.test(character);

/** GPT-2's. White space is Unicode's: JavaScript's \s has the byte order mark, too, and lacks U+0085. */
const bytesPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

interface Piece {
  start: number;
  end: number;
  readonly isMatch: boolean;
}

/** The pieces that a behavior of Split makes, none of them empty. */
function splitText(text: string, pattern: RegExp, behavior: string, invert: boolean): string[] {
  const all = piecesOf(text, pattern, invert);
  const pieces = behavior === "Removed" ? all.filter(({ isMatch }) => !isMatch) : join(all, behavior);
  return pieces.filter(({ start, end }) => start < end).map(({ start, end }) => text.slice(start, end));
}

/** Matches and what lies between them, which covers the text. */
function piecesOf(text: string, pattern: RegExp, invert: boolean): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (done < index) pieces.push({ start: done, end: index, isMatch: invert });
    done = index + match.length;
    pieces.push({ start: index, end: done, isMatch: !invert });
  }
  if (done < text.length) pieces.push({ start: done, end: text.length, isMatch: invert });
  return pieces;
}

function join(pieces: readonly Piece[], behavior: string): readonly Piece[] {
  if (behavior === "Isolated") return pieces;
  const isBackward = behavior === "MergedWithNext";
  const joined: Piece[] = [];
  let wasMatch = false;
  for (const piece of isBackward ? [...pieces].reverse() : pieces) {
    const { isMatch } = piece;
    const last = joined.at(-1);
    // Of several matches side by side only the first one is merged with what is no match.
    const isJoined = behavior === "Contiguous" ? isMatch === wasMatch : isMatch && !wasMatch;
    wasMatch = isMatch;
    if (!isJoined || last === undefined) joined.push({ ...piece });
    else if (isBackward) last.start = piece.start;
    else last.end = piece.end;
  }
  return isBackward ? joined.reverse() : joined;
}

/** A byte order mark is text. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
const byteOf = new Map(byteChars.map((character, byte) => [character, byte]));

/** Tokens of the byte level; one that has a character which stands for no byte is text. */
function textOfBytes(tokens: readonly string[], added: ReadonlySet<string>): string {
  const bytes: number[] = [];
  for (const token of tokens) {
    const own = added.has(token) ? [undefined] : Array.from(token, (character) => byteOf.get(character));
    for (const byte of own.every((one) => one !== undefined) ? own : encoder.encode(token)) bytes.push(byte);
  }
  return utf8.decode(Uint8Array.from(bytes));
}
