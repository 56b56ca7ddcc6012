/**
 * Reads `{"name": ..., "arguments": {...}}` while it arrives: the arguments are handed out as they are written, as soon as the name
 * is known. Fields in any order; "parameters" is another name of the arguments. Others are skipped.
 */
import { JsonScanner, type ReaderStep, type ScanStatus, skip } from "./jsonScanner.js";

type Expected = "object" | "key" | "colon" | "value" | "comma";

const argumentKeys: ReadonlySet<string> = new Set(["arguments", "parameters"]);
const knownKeys: ReadonlySet<string> = new Set(["name", "type", "id", ...argumentKeys]);
const blank = /\s*/y;

export class EnvelopeReader {
  readonly #isBare: boolean;
  #expected: Expected = "object";
  #scanner: JsonScanner | undefined;
  /** Text of the value or key that is being read, where it is needed as a whole. */
  #raw = "";
  #key = "";
  #name: string | undefined;
  #hasBegun = false;
  #arguments: "none" | "streamed" | "whole" | "read" = "none";
  /** Arguments that are not handed out: those before the name wait for it. */
  #json = "";

  /** @param isBare nothing but its keys says that this is a call: a key that calls do not have ends the attempt */
  constructor(isBare: boolean) {
    this.#isBare = isBare;
  }

  /** Text of a begun call that was read and not handed out, because its end is missing. */
  get unfinished(): string {
    return this.#hasBegun ? this.#raw : "";
  }

  push(text: string): ReaderStep {
    const hadBegun = this.#hasBegun;
    let at = 0;
    let status: ScanStatus = "more";
    while (at < text.length && status === "more") ({ end: at, status } = this.#step(text, at));
    if (status === "end" && this.#name === undefined) status = "stop";
    if (status === "end" && this.#arguments === "none") this.#json = "{}";
    this.#hasBegun ||= this.#name !== undefined && (status === "end" || this.#arguments !== "none");
    if (!this.#hasBegun) return { end: at, status, json: "" };
    const json = this.#json;
    this.#json = "";
    return { end: at, status, name: hadBegun ? undefined : this.#name, json };
  }

  #step(text: string, from: number): { end: number; status: ScanStatus } {
    if (this.#scanner) return this.#scan(this.#scanner, text, from);
    const at = skip(blank, text, from);
    const char = text[at];
    if (char === undefined) return { end: at, status: "more" };
    switch (this.#expected) {
      case "object":
        return this.#take(char === "{", "key", at);
      case "colon":
        return this.#take(char === ":", "value", at);
      case "comma":
        if (char === "}") return { end: at + 1, status: "end" };
        return this.#take(char === ",", "key", at);
      case "key":
        if (char === "}") return { end: at + 1, status: "end" };
        if (char !== '"') return { end: at, status: "stop" };
        return this.#read(char, at);
      case "value":
        return this.#read(char, at);
    }
  }

  #take(isRight: boolean, next: Expected, at: number): { end: number; status: ScanStatus } {
    if (!isRight) return { end: at, status: "stop" };
    this.#expected = next;
    return { end: at + 1, status: "more" };
  }

  #read(first: string, at: number): { end: number; status: ScanStatus } {
    this.#scanner = new JsonScanner();
    this.#raw = "";
    if (this.#expected === "value" && argumentKeys.has(this.#key) && this.#arguments === "none")
      this.#arguments = first === "{" ? "streamed" : "whole";
    return { end: at, status: "more" };
  }

  #scan(scanner: JsonScanner, text: string, from: number): { end: number; status: ScanStatus } {
    const { end, status } = scanner.push(text, from);
    const piece = text.slice(from, end);
    if (this.#arguments === "streamed") this.#json += piece;
    else this.#raw += piece;
    if (status !== "end") return { end, status };
    this.#scanner = undefined;
    const isRight = this.#expected === "key" ? this.#endKey() : this.#endValue();
    this.#raw = "";
    return { end, status: isRight ? "more" : "stop" };
  }

  #endKey(): boolean {
    const key = parseText(this.#raw);
    if (key === undefined || (this.#isBare && !this.#hasBegun && !knownKeys.has(key))) return false;
    this.#key = key;
    this.#expected = "colon";
    return true;
  }

  #endValue(): boolean {
    this.#expected = "comma";
    if (this.#arguments === "streamed" || this.#arguments === "whole") {
      if (this.#arguments === "whole") this.#json += wholeArguments(this.#raw);
      this.#arguments = "read";
      return true;
    }
    if (this.#key !== "name" || this.#name !== undefined) return true;
    this.#name = parseText(this.#raw);
    return this.#name !== undefined;
  }
}

/** Arguments that are no object: JSON within a string, and what stands for none. */
function wholeArguments(raw: string): string {
  return raw === "null" ? "{}" : (parseText(raw) ?? raw);
}

/** The string that a JSON text stands for; undefined if it is none. */
function parseText(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
