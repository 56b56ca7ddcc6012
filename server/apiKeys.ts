/** API keys. A key is compared by its hash, with all keys and in the same time whatever it is. */
import { createHash, timingSafeEqual } from "node:crypto";
import { HttpError } from "./errors.js";

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Of a key, a name that tells nothing about it. */
export function nameOf(key: string): string {
  return shortName(hash(key));
}

const shortName = (hashed: Buffer): string => hashed.toString("hex", 0, 8);

export class ApiKeys {
  readonly #hashes: readonly Buffer[] | undefined;

  /** @param keys undefined: none is asked for */
  constructor(keys: readonly string[] | undefined) {
    this.#hashes = keys?.map(hash);
  }

  /**
   * @param authorization the header of the request
   * @param apiKey another one with the key alone
   * @returns `nameOf` the key; empty where none is asked for
   * @throws HttpError 401
   */
  check(authorization: string | undefined, apiKey?: string): string {
    if (!this.#hashes) return "";
    const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? "";
    for (const given of [hash(bearer), hash(apiKey ?? "")]) if (this.#isKnown(given)) return shortName(given);
    const what = (authorization ?? apiKey) === undefined ? "missing" : "wrong";
    throw new HttpError(401, `API key ${what}: send Authorization: Bearer <key>`, {
      code: "invalid_api_key",
    });
  }

  #isKnown(given: Buffer): boolean {
    let isKnown = false;
    for (const known of this.#hashes ?? []) isKnown = timingSafeEqual(known, given) || isKnown;
    return isKnown;
  }
}
