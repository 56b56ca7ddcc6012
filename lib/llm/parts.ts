/** What a loaded model is made of. */
import type { Device } from "../device/device.js";
import type { Stream } from "../device/stream.js";
import type { Engine } from "../engine/engine.js";
import type { ModelRunner } from "../engine/runner.js";
import type { Model } from "../models/model.js";
import type { ChatRenderer } from "../text/chatRenderer.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { GenerateContext } from "./generateOptions.js";
import type { Places } from "./places.js";

export interface Parts {
  readonly device: Device;
  readonly stream: Stream;
  readonly model: Model;
  readonly runner: ModelRunner;
  readonly engine: Engine;
  readonly tokenizer: Tokenizer | null;
  readonly chats: ChatRenderer;
  readonly context: GenerateContext;
  readonly kvPages: number;
  /** Of generations. */
  readonly places: Places;
}
