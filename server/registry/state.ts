/**
 * What the admin plane has changed: versions that it has loaded, and what it has made of names. Data that is replaced as a whole, never
 * changed; all else follows from the models that the server was given.
 */
import { z } from "zod";
import { badField, HttpError } from "../errors.js";
import { type Split, splitSchema } from "./split.js";

/** What a name stands for. */
export interface NameState {
  readonly split: Split;
  /** What a roll-back goes to: the split before the last change of it. */
  readonly previous?: Split | undefined;
}

export interface RegistryState {
  /** How many changes there have been. */
  readonly revision: number;
  /** By id, what was loaded. */
  readonly versions: Readonly<Record<string, { readonly model: string }>>;
  /** Those that were changed. */
  readonly names: Readonly<Record<string, NameState>>;
}

export const stateSchema: z.ZodType<RegistryState> = z.strictObject({
  revision: z.int().min(0),
  versions: z.record(z.string(), z.strictObject({ model: z.string() })),
  names: z.record(z.string(), z.strictObject({ split: splitSchema, previous: splitSchema.optional() })),
});

export const unchanged: RegistryState = { revision: 0, versions: {}, names: {} };

/** All that a change may start from. */
export interface Current {
  readonly state: RegistryState;
  /** All that are served, changed or not. */
  readonly names: ReadonlyMap<string, NameState>;
  /** Ids of versions that are loaded. */
  readonly versions: readonly string[];
}

/** @throws HttpError 404, 400 for a version that is not loaded */
export function withSplit(current: Current, name: string, split: Split): RegistryState {
  const before = nameOf(current, name);
  for (const id of Object.keys(split))
    if (!current.versions.includes(id))
      throw badField(`split.${id}`, `is not loaded; loaded are ${current.versions.join(", ")}`);
  return withName(current, name, { ...before, split, previous: before.split });
}

/** The split before the last change; once more: back again. @throws HttpError 404; 409 when there is none */
export function rolledBack(current: Current, name: string): RegistryState {
  const before = nameOf(current, name);
  const { split, previous } = before;
  if (!previous) throw conflict(`${name} has no previous split, or a version of it was removed`);
  return withName(current, name, { ...before, split: previous, previous: split });
}

/** Without a version, which then answers nothing. @throws HttpError 404; 409 while a name gives it requests */
export function withoutVersion(current: Current, id: string): RegistryState {
  const { state, names } = current;
  if (!current.versions.includes(id)) throw new HttpError(404, `no version ${JSON.stringify(id)} is loaded`);
  const users = [...names].filter(([, { split }]) => split[id]! > 0).map(([name]) => name);
  if (users.length > 0)
    throw conflict(`${id} answers requests of ${users.join(", ")}: change their split first`);
  const touched = [...names].filter(([, { split, previous }]) => id in split || (previous && id in previous));
  const cleaned = touched.map(([name, one]) => {
    const { previous, ...others } = one;
    const split = without(one.split, id);
    return [name, { ...others, split, ...(!has(previous, id) && { previous }) }] as const;
  });
  const kept = Object.fromEntries(cleaned);
  return { ...state, versions: without(state.versions, id), names: { ...state.names, ...kept } };
}

const has = (split: Split | undefined, id: string): boolean =>
  split !== undefined && Object.hasOwn(split, id);

export const conflict = (message: string): HttpError => new HttpError(409, message, { code: "conflict" });

function nameOf({ names }: Current, name: string): NameState {
  const state = names.get(name);
  if (state) return state;
  throw new HttpError(
    404,
    `no name ${JSON.stringify(name.slice(0, 80))}; served are ${[...names.keys()].join(", ")}`,
  );
}

function withName({ state }: Current, name: string, changed: NameState): RegistryState {
  return { ...state, names: { ...state.names, [name]: changed } };
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([one]) => one !== key));
}
