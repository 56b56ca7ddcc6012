/** Fields of /v1/completions. */
import { z } from "zod";
import { chosen, refused, required, supported } from "./field.js";
import { generationFields } from "./generation.js";

const ids = z.array(z.int().min(0)).min(1);

export type Texts = string | number[] | string[] | number[][];

/** A text, texts, token ids, or lists of them. @param most texts of one request */
export const textsOf = (most: number): z.ZodType<Texts> =>
  chosen<Texts>((value) => {
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (!Array.isArray(value)) return z.string();
    if (typeof first === "string") return z.array(z.string()).max(most);
    return Array.isArray(first) ? z.array(ids).max(most) : ids;
  });

/** The texts of a request one by one, each as text or token ids. */
export function listOf(texts: Texts): (string | number[])[] {
  return Array.isArray(texts) && typeof texts[0] !== "number" ? (texts as string[]) : [texts as string];
}

export const completionFields = {
  prompt: required(textsOf(128), "a text, token ids, or up to 128 of them"),
  ...generationFields,
  logprobs: supported(
    z.int().min(0).max(20),
    "log probabilities of the tokens, and of so many of the likeliest",
    "logprobs",
  ),
  echo: supported(
    z.boolean(),
    "the text begins with the prompt; with `logprobs` also those of the prompt, then not as a stream; `max_tokens` may be 0",
  ),
  add_special_tokens: supported(
    z.boolean(),
    "false: a text is encoded without those that the tokenizer adds; default true",
  ),
  best_of: refused("every answer is returned: use `n`", z.literal(1)),
  suffix: refused("texts are not filled in", z.literal("")),
} as const;
