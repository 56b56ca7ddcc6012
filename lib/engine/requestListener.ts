import type { FinishReason } from "../schedule/request.js";
import type { PositionLogprobs } from "./deviceStep.js";
import type { PromptPosition } from "./packStep.js";

/** What the owner of a request is told. Called on the JavaScript thread, never after the end. */
export interface RequestListener {
  /**
   * @param logprobs null: they were not asked for
   * @returns "stop" to end the request here (a stop string)
   */
  onToken(tokenId: number, logprobs: PositionLogprobs | null): "stop" | undefined;
  onPrompt(position: PromptPosition): void;
  onFinish(reason: FinishReason): void;
  onError(error: Error): void;
}
