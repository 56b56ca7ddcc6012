/**
 * What the admin plane has changed: versions that it has loaded, and what it has made of names. Data that is replaced as a whole, never
 * changed; all else follows from the models that the server was given.
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { badField, HttpError } from "../errors.js";
import { type Split, splitSchema } from "./split.js";

/** A version that answers requests, too, for nobody. */
export interface Shadow {
  readonly version: string;
  /** Of the requests, above 0, up to 1. */
  readonly share: number;
}

/** What a name stands for. */
export interface NameState {
  readonly split: Split;
  readonly shadow?: Shadow | undefined;
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

export const shadowSchema = z.strictObject({ version: z.string().min(1), share: z.number().gt(0).max(1) });

export const stateSchema: z.ZodType<RegistryState> = z.strictObject({
  revision: z.int().min(0),
  versions: z.record(z.string(), z.strictObject({ model: z.string() })),
  names: z.record(
    z.string(),
    z.strictObject({ split: splitSchema, previous: splitSchema.optional(), shadow: shadowSchema.optional() }),
  ),
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

export interface NameChange {
  readonly split?: Split | undefined;
  /** null: none. */
  readonly shadow?: Shadow | null | undefined;
}

/** @throws HttpError 404, 400 for a version that is not loaded */
export function changed(current: Current, name: string, { split, shadow }: NameChange): RegistryState {
  const before = nameOf(current, name);
  const check = (id: string, field: string): void => {
    if (current.versions.includes(id)) return;
    throw badField(field, `is not loaded; loaded are ${current.versions.join(", ")}`);
  };
  for (const id of Object.keys(split ?? {})) check(id, `split.${id}`);
  if (shadow) check(shadow.version, "shadow.version");
  const isSame = isDeepStrictEqual(split, before.split); // a change that is sent again leaves the way back
  const after = {
    ...before,
    ...(split && { split, previous: isSame ? before.previous : before.split }),
    ...(shadow !== undefined && { shadow: shadow ?? undefined }),
  };
  return withName(current, name, after);
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
  const shadowed = [...names].filter(([, { shadow }]) => shadow?.version === id).map(([name]) => name);
  if (shadowed.length > 0)
    throw conflict(`${id} is the shadow of ${shadowed.join(", ")}: take it away first`);
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
