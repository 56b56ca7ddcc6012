/** Fields of /v1/embeddings, /tokenize and /detokenize. */
import { z } from "zod";
import { textsOf } from "./completions.js";
import { refused, required, supported } from "./field.js";
import { generationFields, model } from "./generation.js";

export const embeddingFields = {
  input: required(textsOf(2048), "a text, token ids, or up to 2048 of them"),
  model,
  encoding_format: supported(z.enum(["float", "base64"]), "base64: little-endian f32; default float"),
  dimensions: supported(z.int().min(1), "the first so many numbers, for models that are trained for it"),
  pooling: supported(z.enum(["last", "mean"]), "the state of the last token (default), or the mean over all"),
  normalize: supported(z.boolean(), "vectors of length 1; default true"),
  user: generationFields.user,
  truncate_prompt_tokens: refused("a text that is too long is refused"),
} as const;

export const tokenizeFields = {
  prompt: required(z.string(), "a text"),
  model,
  add_special_tokens: supported(z.boolean(), "with those that the tokenizer adds; default true"),
  return_token_strs: refused("/detokenize has the texts", z.literal(false)),
} as const;

export const detokenizeFields = {
  tokens: required(z.array(z.int().min(0)), "token ids"),
  model,
} as const;
