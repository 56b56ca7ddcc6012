/**
 * Contract: whatever a caller passes, a public function works or throws a typed error with a code that names the argument. The
 * tables have every export, every option by name and every method by class, so a new one without a row fails here; each
 * position gets each odd value. The functions of `ops`: oddValues.ops.test.ts; the tokenizer: oddValues.text.test.ts.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, beforeAll, describe, expect, it, test, vi } from "vitest";
import { listCachedModels, removeCachedModel } from "../lib/checkpoint/cachedModels.js";
import { Device } from "../lib/device/device.js";
import { toBfloat16, toFloat32 } from "../lib/device/dtype.js";
import { loadOptionNames } from "../lib/llm/engineOptions.js";
import { quantizeCheckpoint } from "../lib/export/quantizeCheckpoint.js";
import { generate } from "../lib/llm/generate.js";
import { generateOptionNames } from "../lib/llm/generateOptions.js";
import { loadText, textOptionNames } from "../lib/llm/loadText.js";
import { inspectModel, inspectOptionNames } from "../lib/llm/inspectModel.js";
import { LLM } from "../lib/llm/llm.js";
import { pullModel, pullOptionNames } from "../lib/llm/pullModel.js";
import { Graph } from "../lib/device/graph.js";
import * as exported from "../lib/index.js";
import { Scope } from "../lib/device/scope.js";
import { Stream } from "../lib/device/stream.js";
import { Tensor } from "../lib/device/tensor.js";
import { Trace } from "../lib/device/trace.js";
import { goldenFolder, loadLLM, modelFolder } from "./llm/checkpoints.js";
import { openTestDevice } from "./support/devices.js";
import { llmMethods, sessionFile } from "./support/llmMethods.js";
import { type Call, faultOf, faultsOf, methodsOf } from "./support/oddValues.js";

const withoutArguments = async (call: Call) => (await faultOf(call)) ?? "typed";

const tiny = goldenFolder("qwen3");
const prompt = [1, 2, 3];
const chat = [{ role: "user", content: "x" }];
afterAll(() => rm(sessionFile, { force: true }));

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

  it("has no method without a row", () => {
    const others = ["stats", "checkIntegrity", "close", "expertLoad", "toString"];
    expect(methodsOf(LLM)).toEqual([...Object.keys(llmMethods), ...others].sort());
  });

  it.each(Object.keys(llmMethods))("%s", async (name) => {
    const { call, valid } = llmMethods[name]!(llm);
    expect(await faultsOf(call, valid)).toEqual([]);
    expect(await withoutArguments(call)).toBe("typed");
  });

  it.each(generateOptionNames)("option %s of generate", async (name) => {
    const call = (value: unknown) => llm.generate(prompt, { maxTokens: 2, [name]: value });
    expect(await faultsOf(call as Call, { [name]: undefined })).toEqual([]);
  });

  it.each(["tools", "templateOptions", "progress", "onError"])("option %s", async (name) => {
    const ofChat = (value: unknown) => llm.chat(chat, { maxTokens: 1, [name]: value });
    const ofAll = (value: unknown) => llm.generateAll([prompt], { maxTokens: 1, [name]: value });
    expect(await faultsOf(ofChat as Call, { [name]: undefined })).toEqual([]);
    expect(await faultsOf(ofAll as Call, { [name]: undefined })).toEqual([]);
  });

  it.each(["pooling", "normalize", "dimensions", "signal"])("option %s of embed", async (name) => {
    const call = (value: unknown) => llm.embed([prompt], { [name]: value });
    expect(await faultsOf(call as Call, { [name]: undefined })).toEqual([]);
  });

  it.each(["window", "stride", "signal"])("option %s of perplexity", async (name) => {
    const call = (value: unknown) => llm.perplexity(prompt, { [name]: value });
    expect(await faultsOf(call as Call, { [name]: undefined })).toEqual([]);
  });

  it("option room of fitChat", async () => {
    const call = (room: unknown) => llm.fitChat(chat, { room: room as number });
    expect(await faultsOf(call as Call, { room: undefined })).toEqual([]);
  });

  it("entries of lists and fields of messages", async () => {
    const calls: Readonly<Record<string, (value: unknown) => unknown>> = {
      prompt: (value) => llm.generate([1, value as number], { maxTokens: 1 }),
      prompts: (value) => llm.generateAll([prompt, value as number[]], { maxTokens: 1 }),
      texts: (value) => llm.embed([prompt, value as number[]]),
      stop: (value) => llm.generate(prompt, { maxTokens: 1, stop: ["x", value as string] }),
      stopTokenIds: (value) => llm.generate(prompt, { maxTokens: 1, stopTokenIds: [value as number] }),
      logitBias: (value) => llm.generate(prompt, { maxTokens: 1, logitBias: { 5: value as number } }),
      messages: (value) => llm.chat([value as never], { maxTokens: 1 }),
      role: (value) => llm.chat([{ role: value as string, content: "x" }], { maxTokens: 1 }),
      "content|messages": (value) => llm.chat([{ role: "user", content: value as string }], { maxTokens: 1 }),
      "name|messages": (value) => llm.chat([{ role: "user", content: "x", name: value }], { maxTokens: 1 }),
    };
    for (const [name, call] of Object.entries(calls))
      expect(await faultsOf(call as Call, { [name]: undefined })).toEqual([]);
  });

  it("close", async () => {
    const other = await loadLLM(tiny);
    const drain = (value: unknown) => other.close({ drainMs: value as number });
    expect(await faultsOf(other.close.bind(other) as Call, { "options|option": {} })).toEqual([]);
    expect(await faultsOf(drain as Call, { drainMs: undefined })).toEqual([]);
    await other.close();
  });
});

describe("loading", () => {
  it.each(loadOptionNames)("option %s", async (name) => {
    const load = async (value: unknown) => {
      const options = { device: "cpu", threads: 1, contextLength: 32, [name]: value } as const;
      await (await LLM.load(tiny, options)).close();
    };
    expect(await faultsOf(load as Call, { [name]: undefined })).toEqual([]);
  });

  test("LLM.load and generate", async () => {
    const load = async (...args: Parameters<typeof LLM.load>) => (await LLM.load(...args)).close();
    expect(
      await faultsOf(load as Call, { pathOrId: tiny, "options|option": { device: "cpu", threads: 1 } }),
    ).toEqual([]);
    const once = async (...args: Parameters<typeof generate>) => {
      for await (const _ of generate(...args)) void _;
    };
    const options = { maxTokens: 1, load: { device: "cpu", threads: 1 } };
    expect(await faultsOf(once as Call, { pathOrId: tiny, prompt, "options|option": options })).toEqual([]);
    expect(await withoutArguments(load as Call)).toBe("typed");
    expect(await withoutArguments(once as Call)).toBe("typed");
  });
});

describe("models without a load", () => {
  let work: string;
  let count = 0;
  beforeAll(async () => {
    work = await mkdtemp(path.join(tmpdir(), "warploop-odd-"));
  });
  afterAll(() => rm(work, { recursive: true }));

  test("inspectModel", async () => {
    const valid = { pathOrId: tiny, "options|option": { device: "cpu" } };
    expect(await faultsOf(inspectModel as Call, valid)).toEqual([]);
    expect(await withoutArguments(inspectModel as Call)).toBe("typed");
  });

  it.each(inspectOptionNames)("option %s of inspectModel", async (name) => {
    const call = (value: unknown) => inspectModel(tiny, { device: "cpu", [name]: value });
    expect(await faultsOf(call as Call, { [name]: undefined })).toEqual([]);
  });

  test.each([
    ["pullModel", pullModel, pullOptionNames],
    ["loadText", loadText, textOptionNames],
  ] as const)("%s and its options", async (_, call, options) => {
    expect(await faultsOf(call as Call, { pathOrId: tiny, "options|option": {} })).toEqual([]);
    expect(await withoutArguments(call as Call)).toBe("typed");
    for (const name of options) {
      const withOption = (value: unknown) => call(tiny, { [name]: value });
      expect(await faultsOf(withOption as Call, { [name]: undefined })).toEqual([]);
    }
  });

  test("the cache", async () => {
    vi.stubEnv("HF_HUB_CACHE", path.join(work, "cache"));
    const valid = { id: "org/nothing", "options|option": {} };
    expect(await faultsOf(removeCachedModel as Call, valid)).toEqual([]);
    const call = (dryRun: unknown) => removeCachedModel("org/nothing", { dryRun: dryRun as boolean });
    expect(await faultsOf(call as Call, { dryRun: true })).toEqual([]);
    expect(await withoutArguments(removeCachedModel as Call)).toBe("typed");
    expect((await listCachedModels()).models).toEqual([]);
    vi.unstubAllEnvs();
  });

  /** Whatever text names a folder, it is a new one of this test. */
  const folderOf = (to: unknown): unknown =>
    typeof to === "string" && to !== "" ? path.join(work, `${count++}`, to) : to;

  test("quantizeCheckpoint", async () => {
    const call = (pathOrId: unknown, to: unknown, options: unknown) =>
      quantizeCheckpoint(pathOrId as string, folderOf(to) as string, options as { format: "int8" });
    const valid = { pathOrId: tiny, to: "x", "options|option|format": { format: "int8" } };
    expect(await faultsOf(call as Call, valid)).toEqual([]);
    expect(await withoutArguments(quantizeCheckpoint as Call)).toBe("typed");
  });

  it.each(["format", "onProgress", "signal"])("option %s of quantizeCheckpoint", async (name) => {
    const call = (value: unknown) =>
      quantizeCheckpoint(tiny, folderOf("x") as string, { format: "int8", [name]: value });
    const valid = name === "format" ? "int8" : undefined;
    expect(await faultsOf(call as Call, { [name]: valid })).toEqual([]);
  });
});

it("has every export in a table", () => {
  const classes = ["LLM", "Device", "Stream", "Tensor", "Graph", "Trace", "Scope", "Tokenizer"];
  const functions = [
    ...["generate", "inspectModel", "listCachedModels", "loadText", "ops", "pullModel", "quantizeCheckpoint"],
    ...["removeCachedModel", "toBfloat16", "toFloat32"],
  ];
  const isError = ([, value]: [string, unknown]) =>
    typeof value === "function" && value.prototype instanceof Error;
  const errors = Object.entries(exported).filter(isError); // the package makes them, not the caller
  const names = [...classes, ...functions, ...errors.map(([name]) => name)];
  expect(Object.keys(exported).sort()).toEqual(names.sort());
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

  type Arguments = Readonly<Record<string, unknown>>;

  /** For each class and each of its functions valid arguments by name; {} where it takes none. */
  const rows = (): readonly [type: typeof Device, target: object, methods: Record<string, Arguments>][] => [
    [
      Device,
      device,
      {
        createStream: {},
        empty: { dtype: "f32", shape: [2] },
        allocate: { bytes: 64 },
        dispose: {},
        toString: {},
      },
    ],
    [
      Stream as never,
      stream,
      {
        empty: { dtype: "f32", shape: [2] },
        fromArray: { dtype: "f32", "shape|data": [2], data: new Float32Array(2) },
        scope: {},
        capture: { body: () => undefined },
        trace: { "options|trace": { maxRows: 4 } },
        synchronize: {},
        readBytes: { tensor: x, "bytes|native call": 32 },
        dispose: {},
        toString: {},
        run: {}, // for lib/ops: oddValues.ops.test.ts
      },
    ],
    [
      Tensor as never,
      x,
      {
        size: { axis: 0 },
        reshape: { shape: [8] },
        splitLast: { "sizes?|splitLast": 2, "sizes|splitLast": 2 },
        slice: { axis: 0, start: 0, end: 1 },
        write: { stream, data: new Float32Array(8) },
        read: { stream },
        readFloat32: { stream },
        encode: {}, // for Stream.run
        dispose: {},
        toString: {},
      },
    ],
    [Graph as never, graph, { replay: { stream }, dispose: {}, toString: {} }],
    [
      Trace as never,
      device.createStream().trace(),
      { end: {}, chromeJson: { "options|chromeJson": { name: "x" } }, toString: {} },
    ],
    [Scope as never, stream.scope(), { close: {}, toString: {} }],
    [x.memory.constructor as never, device.allocate(64), { dispose: {}, lend: {} }],
  ];

  it("has no method without a row, and gives typed errors", async () => {
    const found: string[] = [];
    for (const [type, target, methods] of rows()) {
      expect(methodsOf(type)).toEqual(Object.keys(methods).sort());
      for (const [name, valid] of Object.entries(methods)) {
        const method = (target as Record<string, Call>)[name]!;
        const label = `${type.name}.${name}`;
        const call = (...args: never[]) => method.apply(target, args);
        found.push(...(await faultsOf(call, valid)).map((text) => `${label}: ${text}`));
        if (Object.keys(valid).length > 0)
          expect([label, await withoutArguments(call)]).toEqual([label, "typed"]);
      }
    }
    expect(found).toEqual([]);
    expect([...(await x.readFloat32(stream))]).toEqual(new Array(8).fill(0)); // the stream is whole
  });

  it("gives typed errors from its functions and constructors", async () => {
    const options = { threads: 1 };
    const openAndClose = async (...args: Parameters<typeof Device.open>) => Device.open(...args).dispose();
    const calls: Readonly<Record<string, readonly [Call, Arguments]>> = {
      "Device.open": [openAndClose, { device: "cpu", "options|option": options }],
      threads: [(value: number) => openAndClose("cpu", { threads: value }), { threads: 1 }],
      "Tensor.packed": [
        Tensor.packed.bind(Tensor),
        { memory: x.memory, dtype: "f32", shape: [2], byteOffset: 0 },
      ],
      "Tensor.strided": [Tensor.strided.bind(Tensor), tensorArguments()],
      Tensor: [((...args: never[]) => Reflect.construct(Tensor, args)) as Call, { "key|Tensor": 1 }],
      "stream.dispose": [
        (value: never) => device.createStream().dispose(value),
        { "options|option": { drain: true } },
      ],
      drain: [(value: never) => device.createStream().dispose({ drain: value }), { drain: true }],
      toFloat32: [toFloat32, { dtype: "bf16", data: new Uint16Array(2) }],
      toBfloat16: [toBfloat16, { data: new Float32Array(2) }],
    };
    const found: string[] = [];
    for (const [name, [call, valid]] of Object.entries(calls)) {
      found.push(...(await faultsOf(call, valid)).map((text) => `${name}: ${text}`));
    }
    expect(found).toEqual([]);
  });

  it("says which option was meant", async () => {
    const unknown = (message: string) =>
      expect.objectContaining({ code: "ERR_UNKNOWN_OPTION", message }) as Error;
    await expect(stream.dispose({ drian: false } as object)).rejects.toThrow(
      unknown('dispose: unknown option "drian"; did you mean "drain"?'),
    );
    await stream.synchronize(); // it was not disposed
    expect(() => Device.open("cpu", { thread: 1 } as object)).toThrow(
      unknown('Device.open: unknown option "thread"; did you mean "threads"?'),
    );
    expect(() => device.createStream().trace({ rows: 5 } as object)).toThrow(
      unknown('trace: unknown option "rows"; did you mean "maxRows"?'),
    );
  });

  const tensorArguments = () => ({
    ...{ memory: x.memory, dtype: "f32", shape: [2, 4], strides: [4, 1], byteOffset: 0 },
  });

  it("takes data of another realm", async () => {
    const foreign = runInNewContext("Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)") as Float32Array;
    const copy = stream.fromArray("f32", [2, 4], foreign);
    expect([...(await copy.readFloat32(stream))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(toBfloat16(foreign)).toEqual(toBfloat16(Float32Array.from(foreign)));
  });

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
