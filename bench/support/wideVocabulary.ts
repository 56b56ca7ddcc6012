/** A small model with a vocabulary as large as those of published ones: where what is done for each token of it shows. */
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomCheckpoint } from "./randomCheckpoint.js";
import { realTokenizer } from "./realTokenizers.js";

/** Tokens. */
export const wideVocabulary = 151_936;

/** @returns a folder: four layers of the Qwen3-0.6B shape, random weights, the tokens of lowest rank of o200k */
export function wideVocabularyModel(): string {
  const folder = randomCheckpoint("qwen3-0.6b", {
    numLayers: 4,
    maxPositions: 2048,
    vocabSize: wideVocabulary,
  });
  const file = join(folder, "tokenizer.json");
  if (existsSync(file)) return folder;
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ eos_token: "<|endoftext|>" }));
  copyFileSync(join(realTokenizer("o200k", wideVocabulary), "tokenizer.json"), file);
  return folder;
}
