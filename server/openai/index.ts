/**
 * The server's routes for people who have a server: as a function from Request to Response, and as a listener of Node.
 *
 *     const openai = createHandler({ "your-model": llm });
 *     app.use("/ai", openai.listener); // Express: /ai/v1/chat/completions
 */
export { createHandler, type Handler, type LoadedModels } from "./handler.js";
export type { NodeListener } from "./nodeListener.js";
export type { Fallback, FallbackServer, RetryOptions } from "../fallback/options.js";
export type { KeyLimits, LimitedKey } from "../limits/keyLimits.js";
export type { AppOptions, CloseOptions, HandlerOptions } from "../options.js";
