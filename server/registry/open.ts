/** Loads what the server serves: what it was given, as the admin plane has changed it. */
import { ArgumentRangeError, ArgumentTypeError, type LLM, WarploopError } from "../../lib/index.js";
import type { Engine } from "../engine.js";
import type { Given } from "./given.js";
import { namesOf, Registry } from "./registry.js";
import type { NameState, RegistryState } from "./state.js";
import { loadedVersion, type Loading, type Version, versionOf } from "./version.js";

/**
 * Models that nothing uses any more are not loaded.
 * @throws ArgumentRangeError for a version that nobody gives; as `load`
 */
export async function openRegistry(given: Given, kept: RegistryState, loading: Loading): Promise<Registry> {
  const { tell } = loading;
  const sources = new Map<string, LLM | Engine | string>(given.models);
  for (const [id, { model }] of Object.entries(kept.versions)) sources.set(id, model);
  const state = { ...kept, names: usable(given, kept, sources, tell) };
  const names = namesOf(given.names, state);
  const used = new Set([...names.values()].flatMap(idsOf));
  const answering = new Set([...names.values()].flatMap(({ split }) => keysOf(split)));
  const versions: Version[] = [];
  try {
    for (const [id, source] of sources) {
      if (typeof source !== "string") versions.push(versionOf(id, source, loading.choice));
      else if (Object.hasOwn(kept.versions, id)) {
        const version = await loadedVersion(id, source, loading).catch((error: unknown) => {
          const message = lost(id, source, error);
          if (answering.has(id)) throw new ArgumentRangeError(`options.stateFile: ${message}`);
          tell(`${message}; nothing goes to it, so it is left out`);
          sources.delete(id);
        });
        if (version) versions.push(version);
      } else if (used.has(id)) versions.push(await loadedVersion(id, source, loading));
      else
        tell(`${source} is not loaded: requests for ${id} go to ${keysOf(names.get(id)?.split).join(", ")}`);
    }
  } catch (error) {
    await Promise.all(versions.map(async ({ close }) => close?.()));
    throw error;
  }
  const registry = new Registry(given.names, versions);
  const loaded = Object.entries(kept.versions).filter(([id]) => sources.has(id));
  const left = { ...kept, versions: Object.fromEntries(loaded) };
  registry.apply({ ...left, names: usable(given, left, sources, () => undefined) });
  return registry;
}

/** What to say of a version that was loaded once. @throws what is no failure of the model, such as the end of the command */
function lost(id: string, model: string, error: unknown): string {
  const isOfModel =
    error instanceof WarploopError ||
    error instanceof ArgumentRangeError ||
    error instanceof ArgumentTypeError;
  if (!isOfModel) throw error;
  return `${id}, which was loaded from ${model}, does not load: ${error.message}`;
}

const idsOf = ({ split, previous, shadow }: NameState): string[] =>
  [...[split, previous].flatMap(keysOf), shadow?.version ?? []].flat();

const keysOf = (record: object | undefined): string[] => Object.keys(record ?? {});

/** Names as they were changed, where they are still served, each with the way back and the shadow that are still there. */
function usable(
  { names }: Given,
  kept: RegistryState,
  sources: ReadonlyMap<string, unknown>,
  tell: (what: string) => void,
): Record<string, NameState> {
  const usable = Object.entries(kept.names).flatMap(([name, state]) => {
    if (!names.has(name)) {
      tell(`${name} is not served any more: what it was changed to is left out`);
      return [];
    }
    const { previous, shadow, ...others } = state;
    const missing = keysOf(state.split).find((id) => !sources.has(id));
    if (missing !== undefined)
      throw new ArgumentRangeError(
        `models: ${name} was changed to use ${missing}, which is not given: give it, or remove the file of options.stateFile and the one beside it whose name goes on with .audit.jsonl, from which it would be read again`,
      );
    const back = keysOf(previous).every((id) => sources.has(id)) ? { previous } : {};
    const beside = shadow && sources.has(shadow.version) ? { shadow } : {};
    return [[name, { ...others, ...back, ...beside }] as const];
  });
  return Object.fromEntries(usable);
}
