/**
 * Loaded models for the AI SDK (`ai` 6 and later):
 *
 *     import { generateText } from "ai";
 *     import { LLM } from "warploop";
 *     import { languageModel } from "warploop/ai-sdk";
 *
 *     const llm = await LLM.load("Qwen/Qwen3-0.6B");
 *     const { text } = await generateText({ model: languageModel(llm), prompt: "Hello!" });
 */
export type { WarploopChatOptions, WarploopEmbedOptions } from "./callOptions.js";
export { embeddingModel, type EmbeddingModelSettings } from "./embeddingModel.js";
export { languageModel, type LanguageModelSettings } from "./languageModel.js";
export { createWarploop, type WarploopModel, type WarploopProvider } from "./provider.js";
