/** A loaded model as an embedding model of the AI SDK. */
import type { EmbeddingModelV3, EmbeddingModelV3CallOptions, EmbeddingModelV3Result } from "@ai-sdk/provider";
import { type LLM, TextError } from "../../lib/index.js";
import { embedOptionsOf } from "./callOptions.js";

export interface EmbeddingModelSettings {
  /** What the AI SDK calls it in logs and responses. Default: the name of its architecture. */
  readonly modelId?: string | undefined;
}

/** The model stays yours: close it when it is not needed any more. */
export function embeddingModel(llm: LLM, settings: EmbeddingModelSettings = {}): EmbeddingModelV3 {
  return new EmbeddingModel(llm, settings);
}

class EmbeddingModel implements EmbeddingModelV3 {
  readonly specificationVersion = "v3";
  readonly provider = "warploop";
  readonly modelId: string;
  readonly maxEmbeddingsPerCall = Infinity;
  readonly supportsParallelCalls = true;
  readonly #llm: LLM;

  constructor(llm: LLM, { modelId = llm.shape.architecture }: EmbeddingModelSettings) {
    this.#llm = llm;
    this.modelId = modelId;
  }

  async doEmbed(options: EmbeddingModelV3CallOptions): Promise<EmbeddingModelV3Result> {
    const { values, abortSignal: signal } = options;
    const wanted = embedOptionsOf(options.providerOptions);
    const { tokenizer } = this.#llm;
    if (!tokenizer) throw new TextError("ERR_TOKENIZER", "embed: the checkpoint has no tokenizer.json");
    const texts: Int32Array[] = []; // as ids, since the usage counts them
    for (const value of values) {
      signal?.throwIfAborted();
      texts.push(Int32Array.from(await tokenizer.encodeAsync(value)));
    }
    const vectors = await this.#llm.embed(texts, { ...wanted, signal });
    const tokens = texts.reduce((sum, ids) => sum + ids.length, 0);
    return { embeddings: vectors.map((vector) => [...vector]), usage: { tokens }, warnings: [] };
  }
}
