/** Versions: models that are loaded. */
import { LLM } from "../../lib/index.js";
import type { FormatChoice } from "../../toolcalls/index.js";
import { type Engine, type EngineFormat, engineOf } from "../engine.js";
import { isWithoutHead } from "../failures.js";

/** What a loader gives: a model of this process, or an engine that can be closed. */
export type LoadedModel = LLM | (Engine & { close(): Promise<void> });

/**
 * Loads a model.
 * @param model as the server was given it, or the admin plane
 * @param signal fires when the server closes
 */
export type LoadModel = (model: string, signal: AbortSignal) => Promise<LoadedModel>;

export interface Loading {
  /** Formats by name, instead of those that are found. */
  readonly choice: FormatChoice;
  readonly load: LoadModel;
  /** Fires when the server closes. */
  readonly signal: AbortSignal;
  /** What an operator should know. */
  readonly tell: (what: string) => void;
}

export interface Version {
  readonly id: string;
  readonly engine: Engine;
  /** How it writes calls and thoughts. */
  readonly format: () => Promise<EngineFormat>;
  /** What it was loaded from, by the server. */
  readonly model?: string | undefined;
  /** Undefined: whoever loaded it closes it. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** @param choice formats by name, instead of those that are found */
export function versionOf(id: string, model: LLM | Engine, choice: FormatChoice): Version {
  const engine = model instanceof LLM ? engineOf(model) : model;
  const format = remembered(() => engine.format(choice));
  format().catch(() => undefined); // told to the requests that need it
  return { id, engine, format };
}

/** @throws as `load` */
export async function loadedVersion(
  id: string,
  model: string,
  { choice, load, signal }: Loading,
): Promise<Version> {
  const loaded = await load(model, signal);
  return { ...versionOf(id, loaded, choice), model, close: () => loaded.close() };
}

const smokeMs = 60_000;

/** Generates a token, or a vector where a model makes no text, which shows that it answers. @throws what went wrong */
export async function smoke({ engine }: Version, ending: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([ending, AbortSignal.timeout(smokeMs)]);
  try {
    const { finishReason } = await engine.generate([1], { maxTokens: 1, ignoreEos: true, signal }).result();
    if (finishReason === "abort") throw new Error(`no token within ${smokeMs / 1000} s`);
  } catch (error) {
    if (!isWithoutHead(error)) throw error;
    await engine.embed([[1]], { signal });
  }
}

/** What is asked until it is answered: an engine's process may end meanwhile. */
function remembered<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () =>
    (answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    }));
}
