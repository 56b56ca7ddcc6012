/** Whose a request is, so that a split gives all of one user or session to the same version. */

interface KeyFields {
  readonly session_id?: unknown;
  readonly safety_identifier?: unknown;
  readonly user?: unknown;
  readonly metadata?: unknown;
  readonly prompt_cache_key?: unknown;
}

/**
 * The first of these that is there and not empty: a session by the header or vLLM's field, a user as OpenAI and Anthropic name one, and
 * OpenAI's name of what requests have in common.
 *
 * @param body that has been checked
 */
export function stickyKey(headers: Headers, body: KeyFields): string | undefined {
  const { session_id, safety_identifier, user, metadata, prompt_cache_key } = body;
  const { user_id } = (metadata ?? {}) as { readonly user_id?: unknown };
  const given = [headers.get("x-session-id"), session_id, safety_identifier, user, user_id, prompt_cache_key];
  return given.find((key): key is string => typeof key === "string" && key !== "");
}
