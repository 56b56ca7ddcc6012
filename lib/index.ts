/**
 * warploop: LLM decoding on its own kernels.
 *
 *     const llm = await LLM.load("./your-model");
 *     for await (const chunk of llm.generate("Once upon a time", { maxTokens: 64 })) process.stdout.write(chunk.text);
 *     await llm.close();
 */
export { LLM } from "./llm/llm.js";
export type { LLMStats } from "./llm/stats.js";
export type { ChatOptions, ChatPromptOptions, RenderChatOptions } from "./llm/chatOptions.js";
export type { CountTokensOptions } from "./llm/countTokens.js";
export type { FitChatOptions, FittedChat } from "./llm/fitChat.js";
export type { OutputFormat } from "./grammar/format.js";
export type { ObjectOptions, ObjectResult, ObjectSchema, ValueOf } from "./llm/object.js";
export type { ZodOutput, ZodSchema } from "./grammar/zodSchema.js";
export type {
  FreeText,
  Members,
  PartsFormat,
  StructuralTags,
  Tag,
  TextPart,
  Thoughts,
} from "./grammar/tags/part.js";
export type { Perplexity, PerplexityOptions } from "./llm/perplexity.js";
export type { RestoreSessionOptions, SaveSessionOptions, Session } from "./llm/session.js";
export type { EmbedOptions } from "./llm/embed.js";
export type { GenerateAllOptions } from "./llm/generateAll.js";
export type { Prompt } from "./llm/prompt.js";
export type { LLMOptions, LoadProgress } from "./llm/engineOptions.js";
export type { GenerateOptions } from "./llm/generateOptions.js";
export type { Choice, GenerateResult, GenerationStream } from "./llm/generationStream.js";
export type { GenerateChunk, TokenLogprob, Usage } from "./llm/output.js";
export type { EngineStats } from "./engine/engine.js";
export type { StepCounts } from "./engine/stepCounters.js";
export type { ExpertLoad } from "./engine/expertCounts.js";
export type { KvStats } from "./schedule/kvPages.js";
export type { PrefixCacheStats } from "./schedule/prefixCache.js";
export type { SchedulerStats } from "./schedule/scheduler.js";
export type { ArchitectureShape, ModelShape } from "./models/model.js";
export { inspectModel, type InspectOptions, type ModelInspection } from "./llm/inspectModel.js";
export { loadText, type LoadTextOptions, type ModelText } from "./llm/loadText.js";
export { pullModel, type PullOptions } from "./llm/pullModel.js";
export {
  type CachedModel,
  type CachedModels,
  listCachedModels,
  removeCachedModel,
  type RemovedModel,
} from "./checkpoint/cachedModels.js";
export type { CacheSize } from "./llm/cacheSizes.js";
export type { PartSummary } from "./weights/partSummary.js";
export type { WeightSummary } from "./weights/modelWeights.js";
export type { FinishReason } from "./schedule/request.js";
export type { ChatMessage, ContentPart } from "./text/chatTemplate.js";
export { type DecodeOptions, type EncodeOptions, Tokenizer } from "./text/tokenizer.js";
export { generate } from "./llm/generate.js";
export * from "./errors.js";
export {
  Device,
  type DeviceChoice,
  type DeviceKind,
  type DeviceName,
  type DeviceOptions,
} from "./device/device.js";
export { Stream } from "./device/stream.js";
export { Graph } from "./device/graph.js";
export { Trace, type ChromeTraceOptions, type TraceOptions, type TraceRow } from "./device/trace.js";
export { Scope } from "./device/scope.js";
export { type Lifetime, type Memory, Tensor } from "./device/tensor.js";
export {
  type DType,
  type FloatDType,
  type HostArray,
  type KvDType,
  toBfloat16,
  toFloat32,
} from "./device/dtype.js";
export type { KvDTypeOption } from "./nn/kvDtype.js";
export type { ActivationsOption } from "./weights/activationDtype.js";
export type { QuantizeOption } from "./weights/quantizePlan.js";
export {
  quantizeCheckpoint,
  type QuantizeCheckpointOptions,
  type QuantizedCheckpoint,
  type QuantizeProgress,
} from "./export/quantizeCheckpoint.js";
export * as ops from "./ops/index.js";
