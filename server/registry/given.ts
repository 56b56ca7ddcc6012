/** What the server was given to serve: models by name, and splits among them. */
import { ArgumentRangeError, ArgumentTypeError, LLM } from "../../lib/index.js";
import type { Engine } from "../engine.js";
import type { NameState } from "./state.js";
import type { Split } from "./split.js";

/** By name; a model under several names has aliases. A text is a model that the server loads, and closes. */
export type ServedModels = Readonly<Record<string, LLM | Engine | string>>;

/** By name, the weights of the versions that it stands for: names of `ServedModels`. */
export type Splits = Readonly<Record<string, Split>>;

export interface Given {
  /** By id, which is the first name that it has. */
  readonly models: ReadonlyMap<string, LLM | Engine | string>;
  readonly names: ReadonlyMap<string, NameState>;
}

/** @throws ArgumentTypeError, ArgumentRangeError */
export function givenOf(served: ServedModels, splits: Splits): Given {
  if (typeof served !== "object" || served === null)
    throw new ArgumentTypeError("models: expected an object of name to LLM");
  const models = new Map<string, LLM | Engine | string>();
  const ids = new Map<LLM | Engine | string, string>();
  const names = new Map<string, NameState>();
  for (const [name, model] of Object.entries(served)) {
    if (name === "") throw new ArgumentRangeError("models: expected names that are not empty");
    if (!isModel(model)) throw new ArgumentTypeError(`models.${name}: expected an LLM, an engine or a text`);
    const id = ids.get(model) ?? name;
    ids.set(model, id);
    models.set(id, model);
    names.set(name, { split: { [id]: 1 } });
  }
  if (names.size === 0) throw new ArgumentRangeError("models: expected at least one model");
  const named = new Map(names);
  for (const [name, split] of Object.entries(splits)) names.set(name, { split: ofIds(name, split, named) });
  return { models, names };
}

function isModel(model: unknown): boolean {
  if (typeof model === "string") return model !== "";
  return model instanceof LLM || typeof (model as Partial<Engine> | null)?.generate === "function";
}

/** A split of names as one of versions. @throws ArgumentRangeError */
function ofIds(name: string, split: Split, named: ReadonlyMap<string, NameState>): Split {
  if (named.has(name))
    throw new ArgumentRangeError(
      `options.splits: expected names that no model has, got ${JSON.stringify(name)}`,
    );
  const weights = new Map<string, number>();
  for (const [of, weight] of Object.entries(split)) {
    const [id] = Object.keys(named.get(of)?.split ?? {});
    if (id === undefined) {
      const known = [...named.keys()].join(", ");
      const message = `expected names of models (${known}), got ${JSON.stringify(of)}`;
      throw new ArgumentRangeError(`options.splits.${name}: ${message}`);
    }
    weights.set(id, (weights.get(id) ?? 0) + weight);
  }
  return Object.fromEntries(weights);
}
