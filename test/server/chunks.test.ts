// Contract: the chunks of all generations of a request come as soon as they are there, each once, whenever they come.
import { afterAll, describe, expect, it } from "vitest";
import type { GenerateChunk, GenerationStream } from "../../lib/index.js";
import { Calls } from "../../server/calls.js";
import { chunksOf } from "../../server/chunks.js";
import { ScriptedEngine } from "./support.js";

const engine = new ScriptedEngine();
const calls = new Calls({ maxQueue: 100, timeoutMs: 60_000 }, []);
const begin = () =>
  calls.begin({
    ...{ requestId: "r", tenant: "", model: "m", client: new AbortController().signal },
    version: { id: "m", engine, format: () => engine.format() },
  });
afterAll(() => calls.abortAll());

async function* written(turns: number, numChunks: number, end: Promise<void>): AsyncGenerator<GenerateChunk> {
  for (let i = 0; i < numChunks; i++) {
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    yield { index: 0, text: String(i), tokenIds: [i], finishReason: null };
  }
  await end;
}

function generation(turns: number, numChunks: number, end = Promise.resolve()): GenerationStream {
  const stream = engine.generate("x", {});
  return { ...stream, [Symbol.asyncIterator]: () => written(turns, numChunks, end) };
}

describe.each(Array.from({ length: 24 }, (_, turns) => turns))("each %i turns of the loop", (turns) => {
  it("one comes, while the generation goes on", async () => {
    let finish = (): void => undefined;
    const end = new Promise<void>((resolve) => (finish = resolve));
    const call = begin();
    const chunks = chunksOf(call, [generation(turns, 1, end)]);
    const late = new Promise((resolve) => setTimeout(resolve, 2000, "late"));
    expect(await Promise.race([chunks.next(), late])).toMatchObject({ value: { chunk: { text: "0" } } });
    finish();
    expect(await chunks.next()).toMatchObject({ done: true });
    call.end();
  });

  it("the last ones come", async () => {
    const call = begin();
    const texts: string[] = [];
    for await (const { prompt, chunk } of chunksOf(call, [generation(turns, 3), generation(0, 3)]))
      texts.push(`${prompt}${chunk.text}`);
    expect(texts.sort()).toEqual(["00", "01", "02", "10", "11", "12"]);
    call.end();
  });
});
