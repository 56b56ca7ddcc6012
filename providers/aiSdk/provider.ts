/** Several loaded models by names, as a provider of the AI SDK. */
import {
  type EmbeddingModelV3,
  type LanguageModelV3,
  NoSuchModelError,
  type ProviderV3,
} from "@ai-sdk/provider";
import type { LLM } from "../../lib/index.js";
import { embeddingModel } from "./embeddingModel.js";
import { languageModel, type LanguageModelSettings } from "./languageModel.js";

/** A model, or a model and how it writes calls and thoughts. */
export type WarploopModel =
  | LLM
  | (Omit<LanguageModelSettings, "modelId"> & {
      readonly llm: LLM;
    });

/** Called with a name, it is `languageModel`. */
export interface WarploopProvider extends ProviderV3 {
  (modelId: string): LanguageModelV3;
}

/**
 * A provider of models by names of your own, for `createProviderRegistry` and wherever the AI SDK takes a provider.
 *
 *     const warploop = createWarploop({ small: llm });
 *     await generateText({ model: warploop("small"), prompt: "Hello!" });
 */
export function createWarploop(models: Readonly<Record<string, WarploopModel>>): WarploopProvider {
  const find = (modelId: string, modelType: "languageModel" | "embeddingModel") => {
    const model = Object.hasOwn(models, modelId) ? models[modelId] : undefined;
    if (model !== undefined) return "llm" in model ? model : { llm: model };
    const message = `there is no model "${modelId}"; there are ${Object.keys(models).join(", ") || "none"}`;
    throw new NoSuchModelError({ modelId, modelType, message });
  };
  const chats = new Map<string, LanguageModelV3>();
  const chat = (modelId: string): LanguageModelV3 => {
    const { llm, ...settings } = find(modelId, "languageModel");
    const known = chats.get(modelId) ?? languageModel(llm, { ...settings, modelId });
    chats.set(modelId, known); // its format is found once
    return known;
  };
  const embedding = (modelId: string): EmbeddingModelV3 =>
    embeddingModel(find(modelId, "embeddingModel").llm, { modelId });
  return Object.assign((modelId: string) => chat(modelId), {
    ...({ specificationVersion: "v3", languageModel: chat, embeddingModel: embedding } as const),
    imageModel(modelId: string): never {
      throw new NoSuchModelError({
        modelId,
        modelType: "imageModel",
        message: "warploop has no image models",
      });
    },
  });
}
