/** What `$ref` can name within a schema: its parts by pointer, those with an `$id` of their own, and anchors. */
import { subschemas } from "./keywords.js";

/** Of a schema that says no `$id`; nothing else is in this scheme. */
const unnamed = "schema:///";

export interface Found {
  readonly value: unknown;
  readonly pointer: string;
}

export const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");
const unescapePointer = (key: string): string => key.replaceAll("~1", "/").replaceAll("~0", "~");
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export class Resources {
  /** By URI without a fragment, and by URI with an anchor: where it stands. */
  readonly #places = new Map<string, Found>();
  /** By the pointer of a schema with an `$id`. */
  readonly #bases = new Map<string, string>();

  constructor(root: unknown) {
    this.#bases.set("", unnamed);
    this.#places.set(unnamed, { value: root, pointer: "" });
    const open: (Found & { readonly base: string })[] = [{ value: root, pointer: "", base: unnamed }];
    for (let at = open.pop(); at; at = open.pop()) {
      if (!isRecord(at.value)) continue;
      const base = this.#read(at.value, at.pointer, at.base);
      for (const below of partsOf(at.value))
        open.push({ ...below, pointer: at.pointer + below.pointer, base });
    }
  }

  /** @param pointer of the schema with the reference @returns undefined: nothing here has that name */
  find(reference: string, pointer: string): Found | undefined {
    const url = urlOf(reference, this.#baseOf(pointer));
    if (!url) return undefined;
    let fragment: string;
    try {
      fragment = decodeURIComponent(url.hash.slice(1));
    } catch {
      return undefined; // a percent sign that begins no byte
    }
    url.hash = "";
    if (fragment !== "" && !fragment.startsWith("/")) return this.#places.get(`${url.href}#${fragment}`);
    const start = this.#places.get(url.href);
    let [value, at] = [start?.value, start?.pointer ?? ""];
    for (const part of fragment.split("/").slice(1)) {
      const key = unescapePointer(part);
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
      value = (value as Record<string, unknown>)[key];
      at += `/${escapePointer(key)}`;
    }
    return start && { value, pointer: at };
  }

  /** Of the innermost schema with an `$id` in which a pointer stands. */
  #baseOf(pointer: string): string {
    for (let at = pointer; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const base = this.#bases.get(at);
      if (base !== undefined) return base;
    }
  }

  /** Notes the names of a schema. @returns what those within it are relative to */
  #read(value: Readonly<Record<string, unknown>>, pointer: string, outer: string): string {
    let base = outer;
    const { $id: id, $anchor: anchor, $dynamicAnchor: dynamic } = value;
    const url = typeof id === "string" ? urlOf(id, outer) : undefined;
    if (url) {
      const name = url.hash.slice(1); // an anchor of draft-07
      url.hash = "";
      base = url.href;
      if (!(id as string).startsWith("#")) {
        this.#bases.set(pointer, base);
        this.#places.set(base, { value, pointer });
      }
      if (name !== "") this.#places.set(`${base}#${name}`, { value, pointer });
    }
    for (const name of [anchor, dynamic])
      if (typeof name === "string") this.#places.set(`${base}#${name}`, { value, pointer });
    return base;
  }
}

function urlOf(reference: string, base: string): URL | undefined {
  try {
    return new URL(reference, base);
  } catch {
    return undefined;
  }
}

/** The schemas directly within one, with their pointers from there. */
function partsOf(schema: Readonly<Record<string, unknown>>): Found[] {
  const parts: Found[] = [];
  for (const key of subschemas.one)
    if (isRecord(schema[key])) parts.push({ value: schema[key], pointer: `/${key}` });
  for (const key of subschemas.list)
    if (Array.isArray(schema[key]))
      for (const [i, value] of schema[key].entries()) parts.push({ value, pointer: `/${key}/${i}` });
  for (const key of subschemas.map)
    if (isRecord(schema[key]))
      for (const [name, value] of Object.entries(schema[key]))
        parts.push({ value, pointer: `/${key}/${escapePointer(name)}` });
  return parts;
}
