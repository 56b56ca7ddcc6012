/**
 * tokenizer.json in the size of multilingual models (XLM-R, mT5, multilingual BERT): 250,000 random pieces. Real ones are not on
 * npm; for loading only sizes count. Written once under bench/output, then reused.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { outputFolder } from "./randomCheckpoint.js";

export type PieceTokenizer = "Unigram" | "WordPiece";

const numPieces = 250_000;
const alphabet = [..."abcdefghijklmnopqrstuvwxyzабвгдежзийклмн漢字한"];

/** @returns a folder with tokenizer.json */
export function pieceTokenizer(type: PieceTokenizer): string {
  const folder = join(outputFolder, "tokenizers", `${type}-${numPieces}`);
  const file = join(folder, "tokenizer.json");
  if (existsSync(file)) return folder;
  mkdirSync(folder, { recursive: true });
  const pieces = randomPieces(type === "Unigram" ? "▁" : "##");
  const model =
    type === "Unigram"
      ? { type, unk_id: 0, vocab: pieces.map((piece, i) => [piece, -Math.log(i + 1)]) }
      : { type, unk_token: pieces[0], vocab: Object.fromEntries(pieces.map((piece, i) => [piece, i])) };
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  const stages =
    type === "Unigram"
      ? { pre_tokenizer: metaspace, decoder: metaspace }
      : {
          pre_tokenizer: { type: "BertPreTokenizer" },
          decoder: { type: "WordPiece", prefix: "##", cleanup: false },
        };
  const added_tokens = [{ id: 0, content: pieces[0], special: true, normalized: false }];
  writeFileSync(
    file,
    JSON.stringify({ added_tokens, normalizer: null, post_processor: null, ...stages, model }),
  );
  return folder;
}

function randomPieces(mark: string): string[] {
  const pieces = new Set(["<unk>", ...alphabet]);
  for (let x = 1; pieces.size < numPieces;) {
    let piece = "";
    x = (x * 48271) % 2147483647;
    for (let rest = x; rest > 99; rest = Math.floor(rest / 37)) piece += alphabet[rest % alphabet.length];
    pieces.add(x % 2 === 0 ? mark + piece : piece);
  }
  return [...pieces];
}
