// Contract: what people print is one line that says what it is; and types that TypeScript must refuse or narrow do so (the
// expected errors are checked by tsc).
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Device, LLM, ops, type Stream } from "../lib/index.js";

let llm: LLM;
let device: Device;
let stream: Stream;
beforeAll(async () => {
  llm = await LLM.load("models/tiny-draft", { device: "cpu", dtype: "f32" });
  device = Device.open("cpu");
  stream = device.createStream();
});
afterAll(async () => {
  await llm.close();
  await device.dispose();
});

it("a packed weight is printed as its segments", () => {
  const [f32, bf16] = [stream.empty("f32", [2, 4]), stream.empty("bf16", [2, 4])];
  expect(inspect(ops.packLinear(stream, f32))).toBe("LinearWeight [2, 4]: weight dense f32");
  expect(inspect(ops.packLinear(stream, { q: bf16, k: bf16, v: f32 }))).toBe(
    "LinearWeight [6, 4]: q+k dense bf16, v dense f32",
  );
});

it("a tensor, a generation and a model are printed in one line", async () => {
  const tensor = stream.fromArray("f32", [2, 3], new Float32Array(6).fill(7.5));
  const generation = llm.generate("Once", { maxTokens: 1 });
  expect(inspect(tensor)).toBe("Tensor [2, 3] f32 on cpu");
  expect(inspect({ generation })).toBe(`{ generation: GenerationStream ${generation.id} }`);
  expect(inspect(llm)).toMatch(/^LLM \w+ f32 on cpu$/);
  expect(inspect({ of: llm.tokenizer })).toBe(`{ of: ${String(llm.tokenizer)} }`);
  expect(String(llm.tokenizer)).toMatch(/^Tokenizer of 1024 tokens from .*tokenizer.json$/);
  await generation.result();
});

it("a device and a stream are printed in one line, and as texts all are what console.log shows", async () => {
  const own = Device.open("cpu", { threads: 2 });
  const queue = own.createStream();
  expect(inspect(own)).toBe(`Device cpu (${own.isa}, 2 threads)`);
  expect(inspect({ queue })).toBe("{ queue: Stream on cpu }");
  const tensor = stream.empty("f32", [2, 3]);
  const weight = ops.packLinear(stream, tensor);
  const generation = llm.generate("Once", { maxTokens: 1 });
  for (const one of [own, queue, tensor, weight, generation, llm]) expect(String(one)).toBe(inspect(one));
  await generation.result();
  await queue.dispose();
  await own.dispose();
  expect([String(own), String(queue)]).toEqual([
    `Device cpu (${own.isa}, 2 threads), closed`,
    "Stream on cpu, closed",
  ]);
});

it("a trace, a graph and a scope are printed in one line", async () => {
  const trace = stream.trace({ maxRows: 1 });
  const x = stream.empty("f32", [2]);
  const scope = stream.scope();
  const graph = stream.capture(() => ops.add(stream, x, x, { out: x }));
  expect([trace, graph, scope].map((each) => inspect(each))).toEqual([
    "Trace, open",
    "Graph on cpu",
    "Scope, open",
  ]);
  scope.close();
  for (let i = 0; i < 3; i++) graph.replay(stream);
  const ending = trace.end();
  expect(inspect({ trace })).toBe("{ trace: Trace, ended }");
  await ending;
  graph.dispose();
  const texts = ["Trace of 1 row, 2 missed", "Graph on cpu, closed", "Scope, closed"];
  expect([trace, graph, scope].map(String)).toEqual(texts);
  expect([trace, graph, scope].map((each) => inspect(each))).toEqual(texts);
});

it("a last chunk has its usage, also for TypeScript", async () => {
  let ends = 0;
  for await (const chunk of llm.generate("Once", { maxTokens: 2 })) {
    if (chunk.finishReason === null) continue;
    ends += chunk.usage.completionTokens;
    expect(chunk.stopReason).toBeNull();
  }
  expect(ends).toBe(2);
});

it("an array of another dtype is refused, also by TypeScript", () => {
  const data = new Float32Array(2);
  // @ts-expect-error bf16 takes a Uint16Array
  expect(() => stream.fromArray("bf16", [2], data)).toThrow("data for bf16: expected a Uint16Array");
  expect(stream.fromArray("f32", [2], data).numel).toBe(2);
});
