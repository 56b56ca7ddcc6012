// Contract: changes that come at once, or while the server ends, are made one behind the other; each says what has become of it, and no
// version is lost or left over.
import { beforeEach, expect, it } from "vitest";
import { appOf } from "../../server/app.js";
import { resolveApp } from "../../server/options.js";
import { Changes } from "../../server/registry/changes.js";
import { givenOf } from "../../server/registry/given.js";
import { openRegistry } from "../../server/registry/open.js";
import { unchanged } from "../../server/registry/state.js";
import type { StateStore } from "../../server/registry/store.js";
import { RequestLog } from "../../server/requestLog.js";
import { HeldEngine } from "./heldEngine.js";
import { until, withoutHead } from "./support.js";

/** Opened and closed by the tests. */
class Gate {
  isAwaited = false;
  open = (): void => undefined;
  readonly #opened = new Promise<void>((resolve) => (this.open = resolve));

  async pass(): Promise<void> {
    this.isAwaited = true;
    await this.#opened;
  }
}

const reason = { who: "a test", what: "a change" };
let engines: Map<string, HeldEngine>;
let ending: AbortController;
/** Held up, by model. */
let loads: Map<string, Gate>;
let closes: Map<string, Gate>;
let commits: Gate | undefined;
/** Of what is asked, by model. */
let failures: Map<string, Error>;
beforeEach(() => {
  failures = new Map();
  engines = new Map();
  ending = new AbortController();
  loads = new Map();
  closes = new Map();
  commits = undefined;
});

async function load(model: string): Promise<HeldEngine> {
  await loads.get(model)?.pass();
  const engine = new HeldEngine();
  engine.close = async () => {
    await closes.get(model)?.pass();
    engine.isClosed = true;
  };
  engine.failure = failures.get(model);
  engines.set(model, engine);
  return engine;
}

/** Of a server whose name "chat" is answered by the model "first", and "other" by "other". */
async function open() {
  const resolved = resolveApp({ logger: false });
  const log = new RequestLog(resolved);
  const loading = { choice: {}, load, signal: ending.signal, tell: () => undefined };
  const registry = await openRegistry(givenOf({ chat: "first", other: "other" }, {}), unchanged, loading);
  const store = { commit: () => commits?.pass() } as unknown as StateStore;
  const changes = new Changes({ registry, ...appOf(registry, resolved, log), loading, store });
  const ids = (): string[] => registry.versions.map(({ id }) => id);
  return { changes, registry, ids, split: () => registry.current.names.get("chat")!.split };
}

const swapTo = (version: string) => ({ version, model: version, keep: false, drainMs: 1000 });

it("two swaps at once leave one version", async () => {
  const { changes, ids, split } = await open();
  await Promise.all([changes.swap(reason, "chat", swapTo("v2")), changes.swap(reason, "chat", swapTo("v3"))]);
  expect([ids(), split()]).toEqual([["other", "v3"], { v3: 1 }]);
  expect([...engines].filter(([, { isClosed }]) => isClosed).map(([model]) => model)).toEqual([
    "first",
    "v2",
  ]);
});

it("a swap leaves a version alone that is a shadow, or that somebody else closes", async () => {
  const { changes, ids, split } = await open();
  await changes.change(reason, "chat", { shadow: { version: "chat", share: 1 } });
  await changes.swap(reason, "chat", swapTo("v2"));
  expect([ids(), split()]).toEqual([["chat", "other", "v2"], { v2: 1 }]);
  const [, removed] = await Promise.allSettled([
    changes.swap(reason, "chat", { version: "other", keep: false, drainMs: 1000 }),
    changes.remove(reason, "v2", 1000),
  ]);
  expect(removed.status).toBe("fulfilled");
  expect([ids(), split()]).toEqual([["chat", "other"], { other: 1 }]);
});

it("a version that is removed while its load is written is closed", async () => {
  const { changes, registry, ids } = await open();
  commits = new Gate();
  const loaded = changes.load(reason, "v2", "second");
  await until(() => commits!.isAwaited);
  const removed = changes.remove(reason, "v2", 1000);
  commits.open();
  await Promise.all([loaded, removed]);
  expect([ids(), registry.current.state.revision]).toEqual([["chat", "other"], 2]);
  expect(engines.get("second")!.isClosed).toBe(true);
});

it("a version that still loads is not said to be there", async () => {
  const { changes } = await open();
  const gate = new Gate();
  loads.set("v2", gate);
  const first = changes.swap(reason, "chat", swapTo("v2"));
  await expect(changes.swap(reason, "chat", swapTo("v2"))).rejects.toThrow("version: v2 is being loaded");
  gate.open();
  await first;
  await expect(changes.swap(reason, "chat", swapTo("v2"))).rejects.toThrow(
    "version: there is a v2 already, loaded from v2; a swap without model takes it",
  );
});

it("a model that makes vectors and no text shows that it answers with one", async () => {
  const { changes, ids } = await open();
  failures.set("vectors", withoutHead());
  await changes.load(reason, "v2", "vectors");
  expect(ids()).toEqual(["chat", "other", "v2"]);
  expect(engines.get("vectors")!.asked.map(({ prompt }) => prompt)).toEqual([[1], [[1]]]);
});

it("nothing is changed, and written, once the server ends: the next one may have the file", async () => {
  const { changes, registry } = await open();
  await changes.load(reason, "v2", "second");
  ending.abort();
  commits = new Gate();
  const ended = { status: 503, message: "the server is shutting down" };
  await expect(changes.change(reason, "chat", { split: { v2: 1 } })).rejects.toMatchObject(ended);
  await expect(changes.rollBack(reason, "chat")).rejects.toMatchObject(ended);
  await expect(changes.remove(reason, "v2", 0)).rejects.toMatchObject(ended);
  await expect(changes.load(reason, "v3", "third")).rejects.toMatchObject(ended);
  expect([commits.isAwaited, registry.current.state.revision]).toEqual([false, 1]);
});

it("the end waits for what is loaded and for what is removed meanwhile", async () => {
  const { changes } = await open();
  await changes.swap(reason, "chat", { version: "other", keep: true, drainMs: 1000 });
  const [loadGate, closeGate] = [new Gate(), new Gate()];
  loads.set("second", loadGate);
  closes.set("first", closeGate);
  const removed = changes.remove(reason, "chat", 1000);
  const loaded = changes.load(reason, "v2", "second").catch((error: unknown) => error);
  await until(() => loadGate.isAwaited && closeGate.isAwaited);
  let isClosed = false;
  ending.abort();
  const closed = changes.close().then(() => (isClosed = true));
  loadGate.open();
  expect(await loaded).toMatchObject({ status: 503, message: "the server is shutting down" });
  expect([isClosed, engines.get("second")!.isClosed]).toEqual([false, true]);
  closeGate.open();
  await Promise.all([removed, closed]);
  expect([...engines.values()].map((engine) => engine.isClosed)).toEqual([true, true, true]);
});
