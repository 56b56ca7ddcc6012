/**
 * Tokens that come without being sampled: those that a constraint says must come next. The model runs them like a prompt, all in one step
 * instead of one by one (jump-forward decoding: Zheng et al., SGLang, 2024, section 4). Where something is to be reported of each token they
 * are sampled among no others, so that a text is the same either way.
 */
import type { Request } from "../schedule/request.js";
import type { RequestSpec } from "./requestSpec.js";

/** @returns none where there is a choice, or where the request has a say in which tokens a text is written with */
export function tokensToCome(request: Request, { constraint, sampling }: RequestSpec): readonly number[] {
  if (sampling.logitBias.ids.length > 0) return [];
  const ids = constraint!.forcedTokens().slice(0, request.maxLength - request.tokens.length);
  const { stopTokenIds } = request.params;
  const end = stopTokenIds ? ids.findIndex((id) => stopTokenIds.has(id)) : -1;
  return end < 0 ? ids : ids.slice(0, end);
}
