/**
 * The hash chain of a request's pages: (parent hash, token ids), with salt and adapter in the root. Equal hashes mean an equal
 * prefix from token 0. Computed once for each request and kept with it.
 */
import { hash } from "node:crypto";
import type { Steps } from "../eventLoop.js";
import type { Request, RequestParams } from "./request.js";

/** Hash of one full page, given the hash of the page before it (of the root for the first page). */
export type HashPage = (parent: string, tokens: Int32Array) => string;

/** About 0.1 ms. */
const hashesPerStep = 32;

/** 32 bytes as a 32-character string: the compact form of a digest that a Map can use as a key. */
const sha256Page: HashPage = (parent, tokens) => {
  const bytes = Buffer.allocUnsafe(parent.length + tokens.byteLength);
  bytes.write(parent, "latin1");
  bytes.set(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength), parent.length);
  return hash("sha256", bytes, "binary");
};

/** The chain's parent of page 0. JSON keeps (salt, adapter) pairs apart whatever characters they contain. */
function rootHash({ cacheSalt = "", adapterId = "" }: RequestParams): string {
  return hash("sha256", JSON.stringify([cacheSalt, adapterId]), "binary");
}

export class PageHasher {
  readonly #pageSize: number;
  readonly #hashPage: HashPage;

  /** @param pageSize tokens of a page @param hashPage tests replace it to force collisions */
  constructor(pageSize: number, hashPage: HashPage = sha256Page) {
    this.#pageSize = pageSize;
    this.#hashPage = hashPage;
  }

  /** Of page `index`, whose ids must be known. */
  hashOf(request: Request, index: number): string {
    const hashes = request.pageHashes;
    while (hashes.length <= index) {
      const start = hashes.length * this.#pageSize;
      const parent = hashes.length === 0 ? rootHash(request.params) : hashes.at(hashes.length - 1);
      hashes.push(this.#hashPage(parent, request.tokens.view(start, start + this.#pageSize)));
    }
    return hashes.at(index);
  }

  /** Hashes the full pages of a prompt, in steps. */
  *hashPrompt(request: Request): Steps<void> {
    const numPages = Math.floor(request.promptLength / this.#pageSize);
    for (let index = 0; index < numPages; index += hashesPerStep) {
      this.hashOf(request, Math.min(index + hashesPerStep, numPages) - 1);
      yield;
    }
  }
}
