/**
 * What the post-processor of tokenizer.json puts around the ids of a text. Ids are those that the file states beside the tokens,
 * as in the Rust library; the JavaScript library looks the tokens' names up instead, which need not be in the vocabulary.
 */
import type { JsonObject } from "../checkpoint/json.js";

/** An id, or the place of the text. */
export type Around = readonly (number | typeof textPlace)[];

export const textPlace = Symbol("text");

/**
 * @param stages post-processors, checked, in order
 * @param idOf of a token that the file states no ids for
 * @throws Error if there is no such token
 */
export function aroundText(
  stages: readonly JsonObject[],
  idOf: (token: string) => number | undefined,
): Around {
  let around: Around = [textPlace];
  for (const stage of stages) {
    const inner = around;
    around = itemsOf(stage, idOf).flatMap((item) => (item === textPlace ? inner : [item]));
  }
  return around;
}

function itemsOf(stage: JsonObject, idOf: (token: string) => number | undefined): Around {
  switch (stage["type"]) {
    case "TemplateProcessing": {
      const named = (stage["special_tokens"] ?? {}) as JsonObject;
      return (stage["single"] as readonly JsonObject[]).flatMap(({ SpecialToken: token }): Around => {
        if (token === undefined) return [textPlace];
        const { id: name } = token as { readonly id: string };
        if (Object.hasOwn(named, name)) return (named[name] as { readonly ids: readonly number[] }).ids;
        const id = idOf(name);
        if (id === undefined)
          throw new Error(`post_processor: expected a token of the vocabulary, got ${JSON.stringify(name)}`);
        return [id];
      });
    }
    case "BertProcessing":
    case "RobertaProcessing": {
      const { cls, sep } = stage as Record<string, readonly [string, number]>;
      return [cls![1], textPlace, sep![1]];
    }
    default:
      return [textPlace]; // ByteLevel only moves offsets
  }
}
