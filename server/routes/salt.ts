/** Whose prefixes a request may find in the cache: how fast a prompt is answered tells whether somebody else has sent its beginning. */

/** @param tenant of the API key. @param wanted `cache_salt` of the request */
export function saltOf(tenant: string, wanted: string | undefined): string {
  return tenant === "" && wanted === undefined ? "" : JSON.stringify([tenant, wanted ?? ""]);
}
