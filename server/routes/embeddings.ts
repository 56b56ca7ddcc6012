/** /v1/embeddings: a vector for each text. */
import { listOf } from "../fields/completions.js";
import { embeddingFields } from "../fields/others.js";
import { badField } from "../errors.js";
import type { Route } from "./answer.js";

export const embeddingsRoute: Route<typeof embeddingFields> = {
  fields: embeddingFields,
  operation: "embeddings",
  promptField: "input",
  async reply(body, call) {
    const { engine, signal } = call;
    const { dimensions, pooling, normalize, encoding_format: format = "float" } = body;
    const { hiddenSize } = engine.info;
    if (dimensions !== undefined && dimensions > hiddenSize)
      throw badField("dimensions", `expected at most ${hiddenSize}, got ${dimensions}`);
    // Texts become ids first, since the usage counts them.
    const texts: (Int32Array | number[])[] = [];
    for (const text of listOf(body.input)) {
      texts.push(typeof text === "string" ? await engine.encode(text, {}) : text);
      signal.throwIfAborted();
    }
    const promptTokens = texts.reduce((sum, ids) => sum + ids.length, 0);
    call.countPrompt(promptTokens);
    const vectors = await engine.embed(texts, { dimensions, pooling, normalize, signal });
    const data = vectors.map((vector, index) => {
      const embedding = format === "float" ? [...vector] : base64(vector);
      return { object: "embedding", index, embedding };
    });
    const counts = { prompt_tokens: promptTokens, total_tokens: promptTokens };
    return { json: { object: "list", data, model: call.model, usage: counts } };
  },
};

/** @param vector whose bytes are little-endian, as all machines' are that run this */
function base64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
