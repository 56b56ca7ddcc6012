/**
 * Changes of what is served while it is served. Each is made whole or not at all: it is written first, and then all requests that begin
 * go by it; those that run stay where they are.
 */
import type { Calls } from "../calls.js";
import { badField, HttpError, unavailable } from "../errors.js";
import type { Registry } from "./registry.js";
import type { Shadows } from "./shadows.js";
import {
  changed,
  conflict,
  type Current,
  type NameChange,
  type RegistryState,
  rolledBack,
  withoutVersion,
} from "./state.js";
import type { StateStore } from "./store.js";
import { loadedVersion, type Loading, smoke, type Version } from "./version.js";

export interface Changing {
  readonly registry: Registry;
  readonly calls: Calls;
  readonly shadows: Shadows;
  readonly loading: Loading;
  /** Undefined: nothing outlives the server. */
  readonly store: StateStore | undefined;
}

/** Who asks for a change, and what the audit calls it. */
export interface Reason {
  readonly who: string;
  readonly what: string;
}

export interface Swap {
  readonly version: string;
  /** What to load; undefined: the version is loaded already. */
  readonly model?: string | undefined;
  /** Whether versions that it replaces stay loaded, for a roll-back. */
  readonly keep: boolean;
  readonly drainMs: number;
}

export class Changes {
  readonly #with: Changing;
  /** Changes are made one by one. */
  #last: Promise<unknown> = Promise.resolve();
  /** What has not ended; `close` waits for it. */
  readonly #open = new Set<Promise<void>>();
  /** Ids of versions that load. */
  readonly #loading = new Set<string>();

  constructor(changing: Changing) {
    this.#with = changing;
  }

  /** Split and shadow. @throws HttpError as `changed`, and 507 */
  async change(reason: Reason, name: string, change: NameChange): Promise<void> {
    await this.#make(reason, (current) => changed(current, name, change));
  }

  /** @throws HttpError as rolledBack, and 507 */
  async rollBack(reason: Reason, name: string): Promise<void> {
    await this.#make(reason, (current) => rolledBack(current, name));
  }

  /** Loads a version that no name uses yet. @throws HttpError 409, 422 when it does not load or answer, 503, 507 */
  async load(reason: Reason, id: string, model: string): Promise<void> {
    await this.#tracked(this.#load(reason, id, model, ({ state }) => state));
  }

  /**
   * Gives all requests of a name to a version, which is loaded first and has shown that it answers: until then, and if it does not,
   * nothing changes.
   *
   * @throws HttpError as `load` and `change`
   */
  async swap(reason: Reason, name: string, swap: Swap): Promise<void> {
    await this.#tracked(this.#swap(reason, name, swap));
  }

  /**
   * Closes a version that answers no requests any more, when its last one has ended; a roll-back to it is no longer possible.
   *
   * @param drainMs for those that run; what takes longer is ended with 503
   * @throws HttpError as withoutVersion, and 507
   */
  async remove(reason: Reason, id: string, drainMs: number): Promise<void> {
    await this.#tracked(this.#remove(reason, id, drainMs));
  }

  /** Closes all that the server has loaded, when nothing runs any more. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#open, this.#last]);
    await Promise.all(this.#with.registry.versions.map(async (version) => version.close?.()));
  }

  async #tracked(work: Promise<void>): Promise<void> {
    this.#open.add(work);
    await work.finally(() => this.#open.delete(work));
  }

  async #swap(reason: Reason, name: string, { version: id, model, keep, drainMs }: Swap): Promise<void> {
    const { registry } = this.#with;
    let before: readonly string[] = [];
    const to = (current: Current): RegistryState => {
      before = Object.keys(current.names.get(name)?.split ?? {}); // as the swap finds it: others may come first
      return changed(current, name, { split: { [id]: 1 } });
    };
    if (model === undefined) await this.#make(reason, to);
    else {
      if (!registry.current.names.has(name)) to(registry.current); // says so before it loads
      await this.#load(reason, id, model, to);
    }
    if (keep) return;
    for (const old of before)
      await this.#remove(reason, old, drainMs).catch((error: unknown) => {
        const isTaken = error instanceof HttpError && [404, 409].includes(error.status);
        if (!isTaken) throw error; // else it is used elsewhere, or somebody else closes it
      });
  }

  async #remove(reason: Reason, id: string, drainMs: number): Promise<void> {
    const { registry, calls, shadows } = this.#with;
    const without = (current: Current) => withoutVersion(current, id);
    const { engine, close } = await this.#make(reason, without, () => registry.remove(id));
    const timer = setTimeout(() => calls.abortAll(unavailable("the model was replaced"), engine), drainMs);
    await Promise.all([calls.idle(engine), shadows.stop(engine)]);
    clearTimeout(timer);
    await close?.();
  }

  /** @param change what else is changed when the version is there */
  async #load(
    reason: Reason,
    id: string,
    model: string,
    change: (current: Current) => RegistryState,
  ): Promise<void> {
    const { registry, loading } = this.#with;
    if (this.#loading.has(id)) throw conflict(`version: ${id} is being loaded`);
    const there = registry.versions.find((version) => version.id === id);
    if (there) throw conflict(takenMessage(there));
    this.#loading.add(id);
    let version: Version | undefined;
    try {
      const loaded = (version = await loadedVersion(id, model, loading));
      await smoke(loaded, loading.signal);
      loading.signal.throwIfAborted();
      const both = (current: Current) => change(withVersion(current, id, model));
      await this.#make(reason, both, () => registry.add(loaded));
    } catch (cause) {
      await version?.close?.();
      if (cause instanceof HttpError) throw cause;
      if (loading.signal.aborted) throw ending(cause);
      const message = badField("model", `${model} is not served: ${(cause as Error).message}`).message;
      throw new HttpError(422, message, { param: "model", code: "model_not_loaded", cause });
    } finally {
      this.#loading.delete(id);
    }
  }

  /** @param versions adds or removes one, in the same turn as the switch */
  async #make<T = void>(
    { who, what }: Reason,
    change: (current: Current) => RegistryState,
    versions?: () => T,
  ): Promise<T> {
    const { registry, store, loading } = this.#with;
    const make = async (): Promise<T> => {
      if (loading.signal.aborted) throw ending(); // the file may be the next server's
      const before = registry.current.state;
      const after = { ...change(registry.current), revision: before.revision + 1 };
      await store?.commit({ time: new Date().toISOString(), who, what, before, after });
      const made = versions?.() as T;
      registry.apply(after);
      loading.tell(`${who}: ${what}`);
      return made;
    };
    const made = this.#last.then(make, make);
    this.#last = made.catch(() => undefined);
    return made;
  }
}

function takenMessage({ id, model }: Version): string {
  const from = model === undefined ? "" : `, loaded from ${model}`;
  return `version: there is a ${id} already${from}; a swap without model takes it`;
}

const ending = (cause?: unknown): HttpError => unavailable("the server is shutting down", cause);

/** As if it were loaded. */
function withVersion({ state, names, versions }: Current, id: string, model: string): Current {
  const known = { ...state.versions, [id]: { model } };
  return { state: { ...state, versions: known }, names, versions: [...versions, id] };
}
