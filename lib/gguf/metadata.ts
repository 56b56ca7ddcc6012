/** The metadata of a GGUF file by their keys. What a key means is the business of who asks for it. */
import { CheckpointError } from "../errors.js";
import { Cursor } from "./cursor.js";
import { type StoredList, type StoredValue, valueTypes } from "./header.js";

/** Numbers of a list that are read at once: one for each layer, say. Vocabularies are read item by item. */
const maxNumbers = 65_536;

export class Metadata {
  /** Named in errors. */
  readonly file: string;
  readonly #values: ReadonlyMap<string, StoredValue>;

  constructor(file: string, values: ReadonlyMap<string, StoredValue>) {
    this.file = file;
    this.#values = values;
  }

  keys(): Iterable<string> {
    return this.#values.keys();
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** A number, text, true or false, or a list of numbers, and an object for any other list; undefined if there is none. */
  value(key: string): unknown {
    const value = this.#values.get(key);
    if (typeof value !== "object") return value;
    return value.type === valueTypes.string || value.count > maxNumbers ? value : [...this.#items(value)];
  }

  text(key: string): string | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === "string" ? value : this.fail(key, "a text");
  }

  integer(key: string): number | undefined {
    const value = this.value(key);
    return value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0)
      ? (value as number | undefined)
      : this.fail(key, "an integer from 0 on");
  }

  /** The texts of a list, made as they are asked for, and how many there are; undefined without the key. */
  texts(key: string): { readonly count: number; readonly items: Iterable<string> } | undefined {
    const list = this.#list(key, valueTypes.string, "a list of texts");
    return list && { count: list.count, items: this.#texts(list, key) };
  }

  /** Those of a few indices. */
  textsAt(key: string, indices: ReadonlySet<unknown>): ReadonlyMap<number, string> {
    const found = new Map<number, string>();
    const list = this.#list(key, valueTypes.string, "a list of texts");
    if (!list) return found;
    const cursor = new Cursor(list.bytes, list.bytes.length, this.file);
    for (let i = 0; i < list.count; i++) {
      if (indices.has(i)) found.set(i, cursor.string(`${key}[${i}]`));
      else cursor.skip(cursor.u64(), key);
    }
    return found;
  }

  /** Indices of some texts in a list that has them; each is no longer than `mostBytes`, which spares to decode the others. */
  indicesOf(key: string, texts: ReadonlySet<string>, mostBytes: number): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    const list = this.#list(key, valueTypes.string, "a list of texts");
    if (!list) return found;
    const cursor = new Cursor(list.bytes, list.bytes.length, this.file);
    const starts = new Set([...texts].map((text) => Buffer.from(text)[0]));
    for (let i = 0; i < list.count; i++) {
      const { at } = cursor;
      const length = cursor.u64();
      cursor.skip(length, key);
      if (length > mostBytes || !starts.has(list.bytes[at + 8])) continue;
      const text = Buffer.from(list.bytes.subarray(at + 8, at + 8 + length)).toString();
      if (texts.has(text)) found.set(text, i);
    }
    return found;
  }

  /** The numbers of a list, made as they are asked for. */
  numbers(key: string): { readonly count: number; readonly items: Iterable<number> } | undefined {
    const list = this.#list(key, undefined, "a list of numbers");
    return list && { count: list.count, items: this.#items(list) };
  }

  /** @param expected completes "expected ..." */
  fail(key: string, expected: string): never {
    const stored = this.#values.get(key);
    const got = typeof stored === "object" ? `a list of ${stored.count} items` : JSON.stringify(stored);
    throw new CheckpointError(
      "ERR_CHECKPOINT_CONFIG",
      `${this.file}: ${key}: expected ${expected}, got ${got ?? "nothing"}`,
      {
        file: this.file,
      },
    );
  }

  #list(key: string, type: number | undefined, expected: string): StoredList | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    const isKind =
      typeof value === "object" && ((type ?? valueTypes.string) === value.type) === (type !== undefined);
    return isKind ? value : this.fail(key, expected);
  }

  *#items({ type, count, bytes }: StoredList): Generator<number> {
    const cursor = new Cursor(bytes, bytes.length, this.file);
    for (let i = 0; i < count; i++) yield cursor.number(type);
  }

  *#texts({ count, bytes }: StoredList, key: string): Generator<string> {
    const cursor = new Cursor(bytes, bytes.length, this.file);
    for (let i = 0; i < count; i++) yield cursor.string(`${key}[${i}]`);
  }
}
