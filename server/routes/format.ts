/** Pieces of answers that chats and completions share: usage, log probabilities. */
import type { TokenLogprob } from "../../lib/index.js";
import type { CallUsage } from "../calls.js";

export function usageOf({ promptTokens, cachedTokens, completionTokens }: CallUsage): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** The usage of an answer in which thoughts may be. */
export function chatUsageOf(usage: CallUsage): object {
  const { reasoningTokens: reasoning_tokens } = usage;
  return { ...usageOf(usage), completion_tokens_details: { reasoning_tokens } };
}

/** What a token is called in log probabilities. */
export type TokenName = (token: { readonly tokenId: number; readonly text: string | undefined }) => string;

export function tokenName(asIds: boolean): TokenName {
  return ({ tokenId, text }) => (asIds || text === undefined ? `token_id:${tokenId}` : text);
}

/** Log probabilities of a chat's answer. */
export function chatLogprobs(entries: readonly TokenLogprob[], nameOf: TokenName): object {
  const one = (token: Parameters<TokenName>[0] & { readonly logprob: number }) => ({
    token: nameOf(token),
    logprob: token.logprob,
    // A token that is a part of a character has no text of its own, and so no bytes that are known here.
    bytes: token.text === undefined || token.text.includes("\ufffd") ? null : [...Buffer.from(token.text)],
  });
  const content = entries.map((entry) => ({ ...one(entry), top_logprobs: entry.top.map(one) }));
  return { content, refusal: null };
}

/** Log probabilities of a completion, whose offsets count on over its chunks. */
export class CompletionLogprobs {
  readonly #nameOf: TokenName;
  #offset = 0;

  constructor(nameOf: TokenName) {
    this.#nameOf = nameOf;
  }

  /** @param entries null, or with its token alone, for one that nothing predicts */
  of(entries: readonly (TokenLogprob | { readonly tokenId: number; readonly text: string })[]): object {
    const names = entries.map((entry) => this.#nameOf(entry));
    return {
      tokens: names,
      token_logprobs: entries.map((entry) => ("logprob" in entry ? entry.logprob : null)),
      top_logprobs: entries.map((entry) =>
        "logprob" in entry
          ? Object.fromEntries([...entry.top, entry].map((one) => [this.#nameOf(one), one.logprob]))
          : null,
      ),
      text_offset: names.map((name) => {
        const offset = this.#offset;
        this.#offset += name.length;
        return offset;
      }),
    };
  }
}

/** Seconds since 1970, as `created` has them. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}
