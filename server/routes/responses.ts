/** OpenAI's /v1/responses. Nothing is stored: each request has the whole conversation. */
import type { GenerateChunk } from "../../lib/index.js";
import { type Block, type BlockEvent, BlockReader, type StartChatOptions } from "../../toolcalls/index.js";
import type { Call } from "../calls.js";
import { type Body, optionsOf } from "../fields/field.js";
import { ofObject, ofSchema, type WantedFormat } from "../fields/outputFormat.js";
import { responseFields } from "../fields/responses.js";
import { choiceOptions } from "../fields/tools.js";
import type { Route } from "./answer.js";
import { now } from "./format.js";
import { chatMessages, itemId, itemOf, type ItemStatus, partOf } from "./responseItems.js";
import { saltOf } from "./salt.js";
import { readTurn, startTurn, type Turn } from "./turn.js";

type ResponseBody = Body<typeof responseFields>;
type FinishReason = GenerateChunk["finishReason"];

export const responsesRoute: Route<typeof responseFields> = {
  fields: responseFields,
  operation: "chat",
  promptField: "input",
  async reply(body, call) {
    const messages = chatMessages(body.instructions, body.input);
    const asked = { fields: responseFields, wanted: formatOf(body) };
    const turn = await startTurn(call, messages, await responseOptions(body, call), asked);
    const response = new Response(body, call);
    if (body.stream) return { events: response.events(turn) };
    for await (const _ of response.events(turn)); // of which the last has it all
    return { json: response.object() };
  },
};

async function responseOptions(body: ResponseBody, call: Call): Promise<StartChatOptions> {
  const effort = body.reasoning?.effort ?? undefined;
  const { thinkingSwitch } = await call.format();
  const off = effort === "none" && thinkingSwitch !== undefined ? { [thinkingSwitch]: false } : {};
  const variables = effort === undefined || effort === "none" ? off : { reasoning_effort: effort };
  return {
    ...optionsOf(responseFields, body),
    ...(Object.keys(variables).length > 0 && { templateOptions: variables }),
    ...choiceOptions(body),
    parallelToolCalls: body.parallel_tool_calls,
    cacheSalt: saltOf(call.tenant, body.cache_salt),
  };
}

function formatOf({ text }: ResponseBody): WantedFormat | undefined {
  const format = text?.format;
  if (format === undefined || format.type === "text") return undefined;
  if (format.type === "json_object") return ofObject("text.format", format.schema);
  return ofSchema("text.format.schema", format.schema ?? { type: "object" });
}

/** An answer as it grows. */
class Response {
  readonly #body: ResponseBody;
  readonly #call: Call;
  readonly #created = now();
  readonly #reader = new BlockReader();
  #finishReason: FinishReason = null;
  #sequence = 0;

  constructor(body: ResponseBody, call: Call) {
    this.#body = body;
    this.#call = call;
  }

  /** As far as it is known. */
  object(): object {
    const { requestId, model } = this.#call;
    const isOver = this.#finishReason !== null;
    const status = isOver ? this.#status : "in_progress";
    return {
      ...{ id: `resp_${requestId}`, object: "response", created_at: this.#created, model, status },
      output: isOver ? this.#items() : [],
      error: null,
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      ...askedOf(this.#body),
      usage: isOver ? this.#usage : null,
    };
  }

  async *events(turn: Turn): AsyncGenerator<object, void, void> {
    yield this.#event("response.created", { response: this.object() });
    yield this.#event("response.in_progress", { response: this.object() });
    for await (const { chunk, events } of readTurn(this.#call, turn)) {
      if (chunk.finishReason !== null) this.#finishReason = chunk.finishReason;
      yield* this.#blocks(this.#reader.push(events));
    }
    yield* this.#blocks(this.#reader.finish());
    yield this.#event(`response.${this.#status}`, { response: this.object() });
  }

  get #status(): "completed" | "incomplete" {
    return this.#finishReason === "length" ? "incomplete" : "completed";
  }

  get #usage(): object {
    const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = this.#call.usage;
    return {
      input_tokens: promptTokens,
      input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 },
      output_tokens: completionTokens,
      output_tokens_details: { reasoning_tokens: reasoningTokens },
      total_tokens: promptTokens + completionTokens,
    };
  }

  #items(): object[] {
    const { blocks } = this.#reader;
    return blocks.map((block, index) => this.#item(block, index, this.#statusOf(block, index)));
  }

  #item(block: Block, index: number, status: ItemStatus): object {
    return itemOf(itemId(this.#call.requestId, block, index), block, status);
  }

  /** What the length cut off is incomplete, and a call whose arguments are no JSON object. */
  #statusOf(block: Block, index: number): ItemStatus {
    const isCut = this.#status === "incomplete" && index === this.#reader.blocks.length - 1;
    return (block.type === "call" ? !block.complete : isCut) ? "incomplete" : "completed";
  }

  #blocks(events: readonly BlockEvent[]): object[] {
    return events.flatMap((event) => this.#block(event));
  }

  #block(event: BlockEvent): object[] {
    const { index: output_index, block, type } = event;
    const item_id = itemId(this.#call.requestId, block, output_index);
    const of = (name: string, fields: object): object => this.#event(`response.${name}`, fields);
    const part = { item_id, output_index, content_index: 0 };
    const [text, extra] =
      block.type === "content" ? ["output_text", { logprobs: [] }] : ["reasoning_text", {}];
    if (type === "start") {
      const added = of("output_item.added", {
        output_index,
        item: this.#item(block, output_index, "in_progress"),
      });
      return block.type === "call"
        ? [added]
        : [added, of("content_part.added", { ...part, part: partOf(block) })];
    }
    if (type === "delta") {
      const { text: delta } = event;
      if (block.type === "call")
        return [of("function_call_arguments.delta", { item_id, output_index, delta })];
      return [of(`${text}.delta`, { ...part, delta, ...extra })];
    }
    const status = this.#statusOf(block, output_index);
    const item = { output_index, item: this.#item(block, output_index, status) };
    if (block.type === "call") {
      const whole = { item_id, output_index, name: block.name, arguments: block.text };
      return [of("function_call_arguments.done", whole), of("output_item.done", item)];
    }
    return [
      of(`${text}.done`, { ...part, text: block.text, ...extra }),
      of("content_part.done", { ...part, part: partOf(block) }),
      of("output_item.done", item),
    ];
  }

  #event(type: string, fields: object): object {
    return { type, sequence_number: this.#sequence++, ...fields };
  }
}

/** What was asked, which a response repeats. */
function askedOf(body: ResponseBody): object {
  const choice = body.tool_choice ?? "auto";
  return {
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    store: false,
    temperature: body.temperature ?? null,
    text: { format: body.text?.format ?? { type: "text" } },
    tool_choice: typeof choice === "string" ? choice : { type: "function", ...choice },
    tools: (body.tools ?? []).map((tool) => ({ strict: false, ...tool })),
    top_p: body.top_p ?? null,
    truncation: "disabled",
  };
}
