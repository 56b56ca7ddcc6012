/** The models that are served, by the names that requests use. A name is never a path: what is not in the list does not exist. */
import { ArgumentRangeError, ArgumentTypeError, LLM } from "../lib/index.js";
import type { FormatChoice } from "../toolcalls/index.js";
import { type Engine, type EngineFormat, engineOf } from "./engine.js";
import { badField, HttpError } from "./errors.js";

/** By name; a model under several names has aliases. */
export type ServedModels = Readonly<Record<string, LLM | Engine>>;

export interface Model {
  readonly name: string;
  readonly engine: Engine;
  /** How it writes calls and thoughts. */
  readonly format: () => Promise<EngineFormat>;
}

export class Models {
  readonly #byName = new Map<string, Model>();
  /** Seconds since 1970, as `created` of /v1/models. */
  readonly #created = Math.floor(Date.now() / 1000);

  /**
   * @param choice formats by name, instead of those that are found
   * @throws ArgumentTypeError, ArgumentRangeError
   */
  constructor(models: ServedModels, choice: FormatChoice = {}) {
    if (typeof models !== "object" || models === null)
      throw new ArgumentTypeError("models: expected an object of name to LLM");
    const engines = new Map<LLM, Engine>();
    const formats = new Map<Engine, Model["format"]>();
    for (const [name, model] of Object.entries(models)) {
      if (name === "") throw new ArgumentRangeError("models: expected names that are not empty");
      if (!(model instanceof LLM) && typeof (model as Partial<Engine> | null)?.generate !== "function")
        throw new ArgumentTypeError(`models.${name}: expected an LLM, or an engine`);
      const engine = model instanceof LLM ? (engines.get(model) ?? engineOf(model)) : model;
      if (model instanceof LLM) engines.set(model, engine);
      const format = formats.get(engine) ?? remembered(() => engine.format(choice));
      format().catch(() => undefined); // told to the requests that need it
      formats.set(engine, format);
      this.#byName.set(name, { name, engine, format });
    }
    if (this.#byName.size === 0) throw new ArgumentRangeError("models: expected at least one model");
  }

  get all(): readonly Model[] {
    return [...this.#byName.values()];
  }

  /** Each engine once, under the first of its names. */
  get engines(): readonly Model[] {
    return this.all.filter(({ engine }, i, all) => all.findIndex((one) => one.engine === engine) === i);
  }

  /**
   * @param name may be left out where one model is served
   * @throws HttpError 404 for a name that is not served, 400 for none
   */
  find(name: string | undefined): Model {
    const names = [...this.#byName.keys()];
    if (name === undefined) {
      if (this.engines.length === 1) return this.all[0]!;
      throw badField("model", `missing; served are ${names.join(", ")}`, "missing_required_parameter");
    }
    const model = this.#byName.get(name);
    if (model) return model;
    const message = `model: ${JSON.stringify(name.slice(0, 80))} is not served here; served are ${names.join(", ")}`;
    throw new HttpError(404, message, { param: "model", code: "model_not_found" });
  }

  /** A row of /v1/models. */
  describe({ name, engine }: Model): object {
    const { contextLength } = engine.info;
    const owner = { created: this.#created, owned_by: "warploop" };
    return { id: name, object: "model", ...owner, max_model_len: contextLength };
  }
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
