/**
 * From the options of a call, as the AI SDK has them, to those of a chat: what there is, what is warned about because the call is as good
 * without it, and what is refused because it is not.
 */
import {
  type LanguageModelV3CallOptions,
  type SharedV3ProviderOptions,
  type SharedV3Warning,
  UnsupportedFunctionalityError,
} from "@ai-sdk/provider";
import { ArgumentTypeError, type EmbedOptions } from "../../lib/index.js";
import type { StartChatOptions, ToolChoice, ToolDefinition } from "../../toolcalls/index.js";

const chatNames = [
  "minTokens",
  "minP",
  "repetitionPenalty",
  "logitBias",
  "includeStop",
  "stopTokenIds",
  "ignoreEos",
  "priority",
  "cacheSalt",
  "templateName",
  "templateOptions",
  "parseSpecial",
  "parallelToolCalls",
] as const satisfies readonly (keyof StartChatOptions)[];

/** What `providerOptions: { warploop: ... }` may have for a language model. */
export type WarploopChatOptions = Pick<StartChatOptions, (typeof chatNames)[number]>;

const embedNames = ["pooling", "normalize", "dimensions"] as const satisfies readonly (keyof EmbedOptions)[];

/** What `providerOptions: { warploop: ... }` may have for an embedding model. */
export type WarploopEmbedOptions = Pick<EmbedOptions, (typeof embedNames)[number]>;

export interface ChatCall {
  readonly options: StartChatOptions;
  readonly warnings: SharedV3Warning[];
}

/** @throws UnsupportedFunctionalityError, ArgumentTypeError */
export function chatCallOf(call: LanguageModelV3CallOptions): ChatCall {
  const { toolChoice, maxOutputTokens, stopSequences, abortSignal } = call;
  const { temperature, topP, topK, presencePenalty, frequencyPenalty, seed } = call;
  const warnings: SharedV3Warning[] = [];
  const tools = toolChoice?.type === "none" ? [] : toolsOf(call, warnings);
  const options: StartChatOptions = {
    ...{ temperature, topP, topK, presencePenalty, frequencyPenalty, seed, tools },
    ...{ maxTokens: maxOutputTokens, stop: stopSequences, signal: abortSignal },
    ...{ toolChoice: choiceOf(toolChoice), format: formatOf(call) },
    ...ownOptions<WarploopChatOptions>(call.providerOptions, chatNames),
  };
  return { options, warnings };
}

function choiceOf(choice: LanguageModelV3CallOptions["toolChoice"]): ToolChoice {
  if (choice?.type === "tool") return { name: choice.toolName };
  return choice?.type === "required" ? "required" : "auto";
}

function formatOf({ responseFormat }: LanguageModelV3CallOptions): StartChatOptions["format"] {
  if (responseFormat?.type !== "json") return undefined;
  const { schema } = responseFormat;
  return schema === undefined ? "json" : { parts: { schema, name: "responseFormat.schema" } };
}

/** @throws ArgumentTypeError */
export function embedOptionsOf(providerOptions: SharedV3ProviderOptions | undefined): WarploopEmbedOptions {
  return ownOptions<WarploopEmbedOptions>(providerOptions, embedNames);
}

/** @param feature as the AI SDK calls it */
export function unsupported(feature: string, why: string): UnsupportedFunctionalityError {
  return new UnsupportedFunctionalityError({
    functionality: feature,
    message: `warploop: ${feature}: ${why}`,
  });
}

function toolsOf({ tools = [] }: LanguageModelV3CallOptions, warnings: SharedV3Warning[]): ToolDefinition[] {
  return tools.flatMap((tool) => {
    const warn = (what: string, details: string): void =>
      void warnings.push({ type: "unsupported", feature: `${what} ${tool.name}`, details });
    if (tool.type === "provider") {
      warn(
        "provider tool",
        "the model runs in this process, which has no tools of its own; it is not offered",
      );
      return [];
    }
    const { name, description, inputSchema, strict, inputExamples = [] } = tool;
    if (inputExamples.length > 0) warn("inputExamples of tool", "templates have no place for them");
    return [{ type: "function", function: { name, description, parameters: inputSchema, strict } }];
  });
}

/** @throws ArgumentTypeError for a name that is not among them; their values are checked where they are used */
function ownOptions<T>(providerOptions: SharedV3ProviderOptions | undefined, names: readonly string[]): T {
  const own = providerOptions?.["warploop"] ?? {};
  const other = Object.keys(own).find((name) => !names.includes(name));
  if (other === undefined) return own as T;
  const message = `providerOptions.warploop: unknown option "${other}"; known are ${names.join(", ")}`;
  throw new ArgumentTypeError(message, "ERR_UNKNOWN_OPTION");
}
