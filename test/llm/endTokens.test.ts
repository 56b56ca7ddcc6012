// Contract: what ends a text, whichever file of the checkpoint names it, and stop strings that are special tokens.
import { describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import type { GenerateResult } from "../../lib/llm/generationStream.js";
import { chain, writeChainCheckpoint } from "../support/chainCheckpoint.js";
import { byteLevelJson } from "../text/tokenizerFiles.js";
import { withLLM } from "./checkpoints.js";

const [endOfText, turnStart, turnEnd] = [256, 257, 258];
const tokenizer = byteLevelJson(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]);
const bytes = (text: string): number[] => [...Buffer.from(text)];

type Files = Readonly<Record<string, unknown>>;

/** After "x" the model writes "Hi!", ends the turn, and goes on with "\nu". */
async function generate(
  config: Files,
  files: Files,
  options: GenerateOptions = {},
): Promise<Pick<GenerateResult, "text" | "finishReason" | "stopReason">> {
  const next = chain(bytes("x")[0]!, [...bytes("Hi!"), turnEnd, ...bytes("\nu")]);
  const all = { "tokenizer.json": tokenizer, ...files };
  const folder = await writeChainCheckpoint({ vocabSize: 259, next, config, files: all });
  return withLLM(folder, {}, async (llm) => {
    const result = await llm.generate("x", { maxTokens: 7, ...options }).result();
    const { text, finishReason, stopReason } = result;
    return { text, finishReason, stopReason };
  });
}

const goesOn = { text: "Hi!\nuu", finishReason: "length", stopReason: null };
const stopsAt = (stopReason: string | number, text = "Hi!") => ({ text, finishReason: "stop", stopReason });

describe("end tokens", () => {
  const eos = (token: unknown) => ({ eos_token: token });
  it.each<[string, Files, Files]>([
    ["config.json", { eos_token_id: [endOfText, turnEnd] }, {}],
    [
      "config.json, while generation_config.json names another",
      { eos_token_id: turnEnd },
      { "generation_config.json": { eos_token_id: endOfText } },
    ],
    [
      "generation_config.json",
      { eos_token_id: endOfText },
      { "generation_config.json": { eos_token_id: turnEnd } },
    ],
    ["tokenizer_config.json", { eos_token_id: endOfText }, { "tokenizer_config.json": eos("<|im_end|>") }],
    ["tokenizer_config.json alone", {}, { "tokenizer_config.json": eos({ content: "<|im_end|>" }) }],
    [
      "tokenizer_config.json, both others name another",
      { eos_token_id: endOfText },
      {
        "generation_config.json": { eos_token_id: [endOfText, turnStart] },
        "tokenizer_config.json": eos("<|im_end|>"),
      },
    ],
    ["special_tokens_map.json", {}, { "special_tokens_map.json": eos({ content: "<|im_end|>" }) }],
    [
      "special_tokens_map.json, while tokenizer_config.json names another",
      {},
      {
        "special_tokens_map.json": eos("<|im_end|>"),
        "tokenizer_config.json": { ...eos("<|endoftext|>"), added_tokens_decoder: {} },
      },
    ],
  ])("%s", async (_, config, files) => {
    expect(await generate(config, files)).toEqual(stopsAt(turnEnd));
    expect(await generate(config, files, { ignoreEos: true })).toEqual(goesOn);
  });

  it("a token that no file names does not end the text", async () => {
    expect(await generate({}, {})).toEqual(goesOn);
    expect(await generate({}, { "tokenizer_config.json": eos("no such token") })).toEqual(goesOn);
  });
});

describe("stop strings that are special tokens", () => {
  it.each<[string, GenerateOptions, object]>([
    ["alone", { stop: "<|im_end|>" }, stopsAt("<|im_end|>")],
    ["shown", { stop: "<|im_end|>", skipSpecialTokens: false }, stopsAt("<|im_end|>")],
    ["with text behind", { stop: ["<|im_end|>\n"] }, stopsAt("<|im_end|>\n")],
    ["with text on both sides", { stop: ["i!<|im_end|>\nu"] }, stopsAt("i!<|im_end|>\nu", "H")],
    ["with other text behind", { stop: ["<|im_end|>u"] }, goesOn],
    ["another token", { stop: ["<|im_start|>"] }, goesOn],
    ["included", { stop: "!<|im_end|>", includeStop: true }, stopsAt("!<|im_end|>", "Hi!<|im_end|>")],
    ["before minTokens", { stop: "<|im_end|>", minTokens: 5 }, goesOn],
    ["after a stop string of text", { stop: ["<|im_end|>", "!"] }, stopsAt("!", "Hi")],
  ])("%s", async (_, options, expected) => {
    expect(await generate({}, {}, options)).toEqual(expected);
  });

  it("the id that ends the text counts before text that might have come", async () => {
    const config = { eos_token_id: turnEnd };
    expect(await generate(config, {}, { stop: "<|im_end|>" })).toEqual(stopsAt("<|im_end|>"));
    expect(await generate(config, {}, { stop: "<|im_end|>\n" })).toEqual(stopsAt(turnEnd));
  });
});
