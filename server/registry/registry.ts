/**
 * The models that are served. A version is a model that is loaded; a name is what requests use, and stands for one version or for a
 * split among several. A name is never a path: what is not in the list does not exist.
 */
import { ArgumentRangeError, ArgumentTypeError, LLM } from "../../lib/index.js";
import type { FormatChoice } from "../../toolcalls/index.js";
import { type Engine, type EngineFormat, engineOf } from "../engine.js";
import { badField, HttpError } from "../errors.js";
import { activeOf, drawVersion, type Split } from "./split.js";

/** By name; a model under several names has aliases. */
export type ServedModels = Readonly<Record<string, LLM | Engine>>;

/** By name, the weights of the versions that it stands for: names of `ServedModels`. */
export type Splits = Readonly<Record<string, Split>>;

export interface Version {
  /** The first name that the model was given. */
  readonly id: string;
  readonly engine: Engine;
  /** How it writes calls and thoughts. */
  readonly format: () => Promise<EngineFormat>;
}

/** What answers a request. */
export interface Drawn {
  readonly name: string;
  readonly version: Version;
}

export class Registry {
  readonly #versions = new Map<string, Version>();
  readonly #names = new Map<string, Split>();
  /** Seconds since 1970, as `created` of /v1/models. */
  readonly #created = Math.floor(Date.now() / 1000);

  /**
   * @param choice formats by name, instead of those that are found
   * @throws ArgumentTypeError, ArgumentRangeError
   */
  constructor(models: ServedModels, splits: Splits = {}, choice: FormatChoice = {}) {
    if (typeof models !== "object" || models === null)
      throw new ArgumentTypeError("models: expected an object of name to LLM");
    const ids = new Map<LLM | Engine, string>();
    for (const [name, model] of Object.entries(models)) {
      if (name === "") throw new ArgumentRangeError("models: expected names that are not empty");
      if (!(model instanceof LLM) && typeof (model as Partial<Engine> | null)?.generate !== "function")
        throw new ArgumentTypeError(`models.${name}: expected an LLM, or an engine`);
      const id = ids.get(model) ?? name;
      ids.set(model, id);
      if (id === name) this.#versions.set(id, versionOf(id, model, choice));
      this.#names.set(name, { [id]: 1 });
    }
    if (this.#names.size === 0) throw new ArgumentRangeError("models: expected at least one model");
    const given = new Map(this.#names);
    for (const [name, split] of Object.entries(splits))
      this.#names.set(name, this.#checked(name, split, given));
  }

  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  get versions(): readonly Version[] {
    return [...this.#versions.values()];
  }

  /** Those that requests may get. */
  get active(): readonly Version[] {
    const ids = new Set([...this.#names.values()].flatMap(activeOf));
    return this.versions.filter(({ id }) => ids.has(id));
  }

  /** A name that a version answers by, or what it is called itself. */
  nameOf({ id }: Version): string {
    return this.names.find((name) => this.#names.get(name)![id]! > 0) ?? id;
  }

  /**
   * The version that is to answer.
   *
   * @param name may be left out where one model is served
   * @param key whose the request is; without one any version of a split
   * @throws HttpError 404 for a name that is not served, 400 for none
   */
  draw(name: string | undefined, key: string | undefined): Drawn {
    const found = this.find(name);
    return { name: found, version: this.#versions.get(drawVersion(found, this.#names.get(found)!, key))! };
  }

  /** The name that is meant. @throws HttpError as `draw` */
  find(name: string | undefined): string {
    const { names } = this;
    if (name === undefined) {
      if (this.#versions.size === 1) return names[0]!;
      throw badField("model", `missing; served are ${names.join(", ")}`, "missing_required_parameter");
    }
    if (this.#names.has(name)) return name;
    const message = `model: ${JSON.stringify(name.slice(0, 80))} is not served here; served are ${names.join(", ")}`;
    throw new HttpError(404, message, { param: "model", code: "model_not_found" });
  }

  /** A row of /v1/models. */
  describe(name: string): object {
    const lengths = activeOf(this.#names.get(name)!).map(
      (id) => this.#versions.get(id)!.engine.info.contextLength,
    );
    const owner = { created: this.#created, owned_by: "warploop" };
    return { id: name, object: "model", ...owner, max_model_len: Math.min(...lengths) }; // whichever answers
  }

  /** A split of names as one of versions. @throws ArgumentRangeError */
  #checked(name: string, split: Split, given: ReadonlyMap<string, Split>): Split {
    if (name === "" || given.has(name))
      throw new ArgumentRangeError(`splits: expected names that no model has, got ${JSON.stringify(name)}`);
    const weights = new Map<string, number>();
    for (const [of, weight] of Object.entries(split)) {
      const [id] = Object.keys(given.get(of) ?? {});
      if (id === undefined)
        throw new ArgumentRangeError(
          `splits.${name}: expected names of models (${[...given.keys()].join(", ")}), got ${JSON.stringify(of)}`,
        );
      weights.set(id, (weights.get(id) ?? 0) + weight);
    }
    return Object.fromEntries(weights);
  }
}

function versionOf(id: string, model: LLM | Engine, choice: FormatChoice): Version {
  const engine = model instanceof LLM ? engineOf(model) : model;
  const format = remembered(() => engine.format(choice));
  format().catch(() => undefined); // told to the requests that need it
  return { id, engine, format };
}

/** What is asked until it is answered: an engine's process may end meanwhile. */
function remembered<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () =>
    (answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    }));
}
