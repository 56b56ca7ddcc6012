/**
 * warploop: LLM decoding on its own kernels.
 *
 *     const llm = await LLM.load("models/tiny-moe");
 *     for await (const chunk of llm.generate("Once upon a time", { maxTokens: 64 })) process.stdout.write(chunk.text);
 *     await llm.close();
 */
export { LLM, type LLMStats } from "./engine/llm.js";
export type { ChatOptions } from "./engine/chatOptions.js";
export type { GenerateAllOptions } from "./engine/generateAll.js";
export type { Prompt } from "./engine/prompt.js";
export type { LLMOptions, LoadProgress } from "./engine/engineOptions.js";
export type { GenerateOptions } from "./engine/generateOptions.js";
export type { Choice, GenerateResult, GenerationStream } from "./engine/generationStream.js";
export type { GenerateChunk, TokenLogprob, Usage } from "./engine/output.js";
export type { EngineStats } from "./engine/engine.js";
export type { KvStats } from "./engine/kvPages.js";
export type { PrefixCacheStats } from "./engine/prefixCache.js";
export type { SchedulerStats } from "./engine/scheduler.js";
export type { ArchitectureShape, ModelShape } from "./models/model.js";
export type { FinishReason } from "./engine/request.js";
export type { ChatMessage, ContentPart } from "./text/chatTemplate.js";
export { type DecodeOptions, type EncodeOptions, Tokenizer } from "./text/tokenizer.js";
export { generate } from "./engine/generate.js";
export * from "./errors.js";
export { Device, type DeviceChoice, type DeviceName, type DeviceOptions } from "./device.js";
export { Stream } from "./stream.js";
export { Graph } from "./graph.js";
export { Trace, type TraceOptions, type TraceRow } from "./trace.js";
export { Scope } from "./scope.js";
export { type Memory, Tensor } from "./tensor.js";
export { type DType, type FloatDType, type HostArray, toBfloat16, toFloat32 } from "./dtype.js";
export * as ops from "./ops/index.js";
