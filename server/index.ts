/**
 * An HTTP server with OpenAI's routes for models that are loaded.
 *
 *     const llm = await LLM.load("./your-model");
 *     const server = await serve({ "your-model": llm });
 */
export { type App, createApp } from "./app.js";
export { ChildEngine, startEngine, type StartEngineOptions } from "./child/childEngine.js";
export { EngineExitError } from "./child/link.js";
export type { Engine, EngineInfo, EngineStats } from "./engine.js";
export type { Fallback, FallbackServer, RetryOptions } from "./fallback/options.js";
export type { KeyLimits, LimitedKey } from "./limits/keyLimits.js";
export {
  type AppOptions,
  type CloseOptions,
  resolveClose,
  resolveServe,
  type ServeOptions,
} from "./options.js";
export type { ServedModels, Splits } from "./registry/given.js";
export type { Split } from "./registry/split.js";
export type { LoadedModel, LoadModel } from "./registry/version.js";
export { serve, type Server } from "./serve.js";
