/**
 * Contract: whatever a caller passes, a public function works or throws a typed error with a code. The tables have every
 * option by name and every method by class, so a new one without a row fails here; each position gets each odd value.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from "vitest";
import { Device } from "../lib/device.js";
import { toBfloat16, toFloat32 } from "../lib/dtype.js";
import { loadOptionNames } from "../lib/engine/engineOptions.js";
import { generate } from "../lib/engine/generate.js";
import { generateOptionNames } from "../lib/engine/generateOptions.js";
import { LLM } from "../lib/engine/llm.js";
import { Graph } from "../lib/graph.js";
import { Stream } from "../lib/stream.js";
import { Tensor } from "../lib/tensor.js";
import { goldenFolder, loadLLM, modelFolder } from "./engine/llm/checkpoints.js";
import { openTestDevice } from "./support/devices.js";
import { oddValues, untypedErrorOf } from "./support/oddValues.js";

type Call = (...args: never[]) => unknown;

/** Names and errors of the calls with one odd argument that end in an untyped error. */
async function untypedCalls(call: Call, valid: readonly unknown[], positions = valid.length) {
  const found: string[] = [];
  for (let position = 0; position < positions; position++) {
    for (const [name, make] of Object.entries(oddValues)) {
      const args = valid.map((value, i) => (i === position ? make() : value));
      const error = await untypedErrorOf(() => (call as (...args: unknown[]) => unknown)(...args));
      if (error !== undefined) found.push(`argument ${position} = ${name}: ${error}`);
    }
  }
  return found;
}

const withoutArguments = async (call: Call) => (await untypedErrorOf(call)) ?? "typed";

/** Methods of a class, as its prototype has them. */
const methodsOf = (type: { readonly prototype: object }) =>
  Object.entries(Object.getOwnPropertyDescriptors(type.prototype))
    .filter(([name, { value }]) => name !== "constructor" && typeof value === "function")
    .map(([name]) => name)
    .sort();

const tiny = goldenFolder("qwen3");
const prompt = [1, 2, 3];
const chat = [{ role: "user", content: "x" }];

describe("LLM", () => {
  let llm: LLM;
  beforeAll(async () => {
    llm = await loadLLM(modelFolder("tiny-draft"), { maxSequences: 2, contextLength: 256 });
  });
  afterEach(() => {
    expect(llm.stats()).toMatchObject({ state: "running", running: 0, waiting: 0 });
    llm.checkIntegrity();
  });
  afterAll(() => llm.close());

  const open: Readonly<Record<string, (llm: LLM) => { call: Call; valid: readonly unknown[] }>> = {
    generate: (l) => ({ call: l.generate.bind(l), valid: [prompt, { maxTokens: 1 }] }),
    chat: (l) => ({ call: l.chat.bind(l), valid: [chat, { maxTokens: 1 }] }),
    generateAll: (l) => ({ call: l.generateAll.bind(l), valid: [[prompt], { maxTokens: 1 }] }),
    logits: (l) => ({ call: l.logits.bind(l), valid: [prompt] }),
    routing: (l) => ({ call: l.routing.bind(l), valid: [prompt] }),
  };

  it("has no method without a row", () => {
    const others = ["stats", "checkIntegrity", "close"];
    expect(methodsOf(LLM)).toEqual([...Object.keys(open), ...others].sort());
  });

  it.each(Object.keys(open))("%s", async (name) => {
    const { call, valid } = open[name]!(llm);
    expect(await untypedCalls(call, valid)).toEqual([]);
    expect(await withoutArguments(call)).toBe("typed");
  });

  it.each(generateOptionNames)("option %s of generate", async (name) => {
    const call = (value: unknown) => llm.generate(prompt, { maxTokens: 2, [name]: value });
    expect(await untypedCalls(call as Call, [undefined])).toEqual([]);
  });

  it.each(["tools", "templateOptions", "progress", "onError"])("option %s", async (name) => {
    const ofChat = (value: unknown) => llm.chat(chat, { maxTokens: 1, [name]: value });
    const ofAll = (value: unknown) => llm.generateAll([prompt], { maxTokens: 1, [name]: value });
    expect(await untypedCalls(ofChat as Call, [undefined])).toEqual([]);
    expect(await untypedCalls(ofAll as Call, [undefined])).toEqual([]);
  });

  it("entries of lists and fields of messages", async () => {
    const calls: readonly ((value: unknown) => unknown)[] = [
      (value) => llm.generate([1, value as number], { maxTokens: 1 }),
      (value) => llm.generateAll([prompt, value as number[]], { maxTokens: 1 }),
      (value) => llm.generate(prompt, { maxTokens: 1, stop: ["x", value as string] }),
      (value) => llm.generate(prompt, { maxTokens: 1, stopTokenIds: [value as number] }),
      (value) => llm.generate(prompt, { maxTokens: 1, logitBias: { 5: value as number } }),
      (value) => llm.chat([value as never], { maxTokens: 1 }),
      (value) => llm.chat([{ role: value as string, content: "x" }], { maxTokens: 1 }),
      (value) => llm.chat([{ role: "user", content: value as string }], { maxTokens: 1 }),
      (value) => llm.chat([{ role: "user", content: "x", name: value }], { maxTokens: 1 }),
    ];
    for (const call of calls) expect(await untypedCalls(call as Call, [undefined])).toEqual([]);
  });

  it("close", async () => {
    const other = await loadLLM(tiny);
    const drain = (value: unknown) => other.close({ drainMs: value as number });
    expect(await untypedCalls(other.close.bind(other) as Call, [{}])).toEqual([]);
    expect(await untypedCalls(drain as Call, [undefined])).toEqual([]);
    await other.close();
  });
});

describe("loading", () => {
  it.each(loadOptionNames)("option %s", async (name) => {
    const load = async (value: unknown) => {
      const options = { device: "cpu", threads: 1, contextLength: 32, [name]: value } as const;
      await (await LLM.load(tiny, options)).close();
    };
    expect(await untypedCalls(load as Call, [undefined])).toEqual([]);
  });

  test("LLM.load and generate", async () => {
    const load = async (...args: Parameters<typeof LLM.load>) => (await LLM.load(...args)).close();
    expect(await untypedCalls(load as Call, [tiny, { device: "cpu", threads: 1 }])).toEqual([]);
    const once = async (...args: Parameters<typeof generate>) => {
      for await (const _ of generate(...args)) void _;
    };
    const options = { maxTokens: 1, load: { device: "cpu", threads: 1 } };
    expect(await untypedCalls(once as Call, [tiny, prompt, options])).toEqual([]);
    expect(await withoutArguments(load as Call)).toBe("typed");
    expect(await withoutArguments(once as Call)).toBe("typed");
  });
});

describe("the typed layer", () => {
  let device: Device;
  let stream: Stream;
  let x: Tensor;
  let graph: Graph;
  beforeAll(() => {
    device = openTestDevice({ threads: 1 });
    stream = device.createStream();
    x = stream.fromArray("f32", [2, 4], new Float32Array(8));
    graph = stream.capture(() => undefined);
  });
  afterAll(() => device.dispose());

  /** For each class and each of its functions valid arguments; [] where it takes none. */
  const rows = (): readonly [type: typeof Device, target: object, methods: Record<string, unknown[]>][] => [
    [Device, device, { createStream: [], empty: ["f32", [2]], allocate: [64], dispose: [] }],
    [
      Stream as never,
      stream,
      {
        empty: ["f32", [2]],
        fromArray: ["f32", [2], new Float32Array(2)],
        scope: [],
        capture: [() => undefined],
        synchronize: [],
        readBytes: [x, 32],
        dispose: [],
        run: [], // for lib/ops: see their own tables
      },
    ],
    [
      Tensor as never,
      x,
      {
        size: [0],
        reshape: [[8]],
        splitLast: [2, 2],
        slice: [0, 0, 1],
        write: [stream, new Float32Array(8)],
        read: [stream],
        readFloat32: [stream],
        encode: [], // for Stream.run
        dispose: [],
      },
    ],
    [Graph as never, graph, { replay: [stream], dispose: [] }],
  ];

  it("has no method without a row, and gives typed errors", async () => {
    const found: string[] = [];
    for (const [type, target, methods] of rows()) {
      expect(methodsOf(type)).toEqual(Object.keys(methods).sort());
      for (const [name, valid] of Object.entries(methods)) {
        const method = (target as Record<string, Call>)[name]!;
        const label = `${type.name}.${name}`;
        const call = (...args: never[]) => method.apply(target, args);
        found.push(...(await untypedCalls(call, valid)).map((text) => `${label}: ${text}`));
        if (valid.length > 0) expect([label, await withoutArguments(call)]).toEqual([label, "typed"]);
      }
    }
    expect(found).toEqual([]);
    expect([...(await x.readFloat32(stream))]).toEqual(new Array(8).fill(0)); // the stream is whole
  });

  it("gives typed errors from its functions and constructors", async () => {
    const options = { threads: 1 };
    const openAndClose = async (...args: Parameters<typeof Device.open>) => Device.open(...args).dispose();
    const calls: Readonly<Record<string, readonly [Call, readonly unknown[]]>> = {
      "Device.open": [openAndClose, ["cpu", options]],
      threads: [(value: number) => openAndClose("cpu", { threads: value }), [1]],
      "Tensor.packed": [Tensor.packed.bind(Tensor), [x.memory, "f32", [2], 0]],
      Tensor: [((...args: never[]) => Reflect.construct(Tensor, args)) as Call, tensorArguments()],
      "stream.dispose": [(value: never) => device.createStream().dispose(value), [{ drain: true }]],
      drain: [(value: never) => device.createStream().dispose({ drain: value }), [true]],
      toFloat32: [toFloat32, ["bf16", new Uint16Array(2)]],
      toBfloat16: [toBfloat16, [new Float32Array(2)]],
    };
    const found: string[] = [];
    for (const [name, [call, valid]] of Object.entries(calls)) {
      found.push(...(await untypedCalls(call, valid)).map((text) => `${name}: ${text}`));
    }
    expect(found).toEqual([]);
  });

  const tensorArguments = () => [x.memory, "f32", [2, 4], [4, 1], 0];

  it("takes data in shared memory, and of the dtype's class alone", async () => {
    const shared = new Float32Array(new SharedArrayBuffer(32)).fill(3);
    const copy = stream.fromArray("f32", [2, 4], shared);
    shared.fill(4); // after the call the caller may do with it what he likes
    expect([...(await copy.readFloat32(stream))]).toEqual(new Array(8).fill(3));
    for (const data of [new BigInt64Array(4), new Float64Array(4), new Int32Array(8)]) {
      expect(() => copy.write(stream, data as never)).toThrow(
        expect.objectContaining({
          name: "ArgumentTypeError",
          message: expect.stringContaining("Float32Array"),
        }),
      );
    }
  });
});
