/** From a path or a hub id to all that a loaded model is made of; what was opened on the way is closed again if that fails. */
import { Engine } from "../engine/engine.js";
import { ModelRunner } from "../engine/runner.js";
import { Scheduler } from "../schedule/scheduler.js";
import { ChatRenderer } from "../text/chatRenderer.js";
import { ChatTemplate } from "../text/chatTemplate.js";
import { type LLMOptions, planCapacity, resolveOptions } from "./engineOptions.js";
import { fetchModel } from "./fetchModel.js";
import { loadModel } from "./loadModel.js";
import { openDevice } from "./openDevice.js";
import type { Parts } from "./parts.js";
import { Places } from "./places.js";
import { longerContext } from "./prompt.js";
import { reportCache } from "./reportCache.js";

/** @throws as LLM.load */
export async function loadParts(pathOrId: string, options: LLMOptions): Promise<Parts> {
  const resolved = resolveOptions(options);
  const { onProgress, signal } = resolved;
  const device = openDevice(resolved); // before anything is fetched for it
  try {
    const { path, description } = await fetchModel(pathOrId, resolved);
    const { config, source } = description;
    const tokenizer = await source.tokenizer();
    const template = ChatTemplate.of(await source.templates());
    const stream = device.createStream();
    const model = await loadModel(path, { ...resolved, stream, description });
    signal?.throwIfAborted(); // the last report of progress may have aborted
    const capacity = planCapacity(resolved, model, device);
    reportCache(capacity, onProgress);
    const runner = new ModelRunner(model, stream, capacity);
    const engine = new Engine(new Scheduler(capacity), runner, { stepTimeoutMs: resolved.stepTimeoutMs });
    const context = {
      vocabSize: model.shape.vocabSize,
      contextLength: capacity.maxModelLen,
      longer: longerContext(capacity.maxModelLen, model.shape.maxPositions, description.definition),
      eosTokenIds: [...new Set([...config.eosTokenIds, ...(tokenizer?.eosIds ?? [])])],
      sampling: config.sampling,
      hasTokenizer: tokenizer !== null,
      hasHead: model.shape.hasHead,
    };
    const kvPages = capacity.numBlocks;
    const chats = new ChatRenderer(template);
    const places = new Places(resolved.maxSequences + (resolved.maxWaiting ?? Infinity));
    return {
      ...{ device, stream, model, runner, engine },
      ...{ tokenizer, chats, context, kvPages, places },
    };
  } catch (error) {
    await device.dispose();
    throw error;
  }
}
