/** /tokenize and /detokenize: what the checkpoint's tokenizer makes of a text, and back. */
import { detokenizeFields, tokenizeFields } from "../fields/others.js";
import type { Route } from "./answer.js";

export const tokenizeRoute: Route<typeof tokenizeFields> = {
  fields: tokenizeFields,
  promptField: "prompt",
  async reply({ prompt, add_special_tokens: addSpecialTokens = true }, { engine }) {
    const ids = await engine.encode(prompt, { addSpecialTokens });
    return { json: { count: ids.length, max_model_len: engine.info.contextLength, tokens: [...ids] } };
  },
};

export const detokenizeRoute: Route<typeof detokenizeFields> = {
  fields: detokenizeFields,
  promptField: "tokens",
  async reply({ tokens }, { engine }) {
    return { json: { prompt: await engine.decode(tokens, { skipSpecialTokens: false }) } };
  },
};
