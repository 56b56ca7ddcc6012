/**
 * What the server and the process of an engine say to each other: structured clones in V8's binary format, over the pipe that
 * `fork` opens (`serialization: "advanced"`). What an engine answers in one turn of its event loop goes in one message.
 */
import type { GenerateChunk, LLMOptions, LoadProgress, TokenLogprob } from "../../lib/index.js";
import type { EngineInfo } from "../engine.js";
import type { SentError } from "./sentErrors.js";

/** Of `LLMOptions`, what can be sent. */
export type SentLoadOptions = Omit<LLMOptions, "onProgress" | "signal">;

export type StreamKind = "generate" | "chat";
export type CallKind = "countTokens" | "encode" | "decode" | "embed" | "format" | "stats";

/** A method of the engine; its `id` is taken until the last answer has come. */
export interface Call {
  readonly kind: StreamKind | CallKind;
  readonly id: number;
  /** What the method takes first. */
  readonly subject: unknown;
  /** Without a signal: `abort` comes in its place. */
  readonly options: object;
}

/** From the server. */
export type Ask =
  | { readonly kind: "load"; readonly model: string; readonly options: SentLoadOptions }
  | Call
  | { readonly kind: "abort"; readonly id: number }
  | { readonly kind: "close" };

/** From the engine. */
export type Told =
  | { readonly progress: LoadProgress }
  | { readonly ready: EngineInfo }
  | { readonly failed: SentError }
  | { readonly answers: readonly Answer[] };

export type Answer = { readonly id: number } & (
  | { readonly started: ArrayLike<number> }
  | { readonly promptLogprobs: readonly (TokenLogprob | null)[] }
  | { readonly chunk: GenerateChunk }
  | { readonly value: unknown }
  | { readonly error: SentError }
);
