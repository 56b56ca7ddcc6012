/**
 * Typed access to the fields of a JSON object of a checkpoint. Model files use it, so that a wrong field fails with file,
 * field, expected and got. What a field means is the model file's business.
 */
import { CheckpointError } from "../errors.js";
import { isObject, show, type JsonObject } from "./json.js";

/** A field name, or several names of the same field of which the first that is present counts. */
export type FieldName = string | readonly string[];

/**
 * Reads fields of one JSON object. `null` counts as absent, as in Hugging Face configs, except where that would say the
 * opposite (`nullablePositiveInt`, `bool`). Without a default an absent field is an error, and so are two names of one field
 * that disagree. Every failure is a CheckpointError ERR_CHECKPOINT_CONFIG.
 */
export class ConfigReader {
  readonly file: string;
  readonly json: JsonObject;
  /** What a field is called in messages: its path in the file. */
  readonly nameOf: (field: string) => string;

  /** @param path prefix of the field names in messages, such as "rope_scaling."; or what a field is called there */
  constructor(file: string, json: JsonObject, path: string | ((field: string) => string) = "") {
    this.file = file;
    this.json = json;
    this.nameOf = typeof path === "string" ? (field) => path + field : path;
  }

  /** True if the field is present and not null. */
  has(field: FieldName): boolean {
    return this.#find(field).value !== undefined;
  }

  /** An integer in [1, 2^53). */
  positiveInt(field: FieldName, fallback?: number): number {
    return this.#read(field, fallback, "a positive integer", (value) => isInteger(value) && value >= 1);
  }

  /** Like positiveInt, but undefined if absent: for `head_dim`, `sliding_window`, `n_inner`. */
  optionalPositiveInt(field: FieldName): number | undefined {
    return this.has(field) ? this.positiveInt(field) : undefined;
  }

  /**
   * For fields in which `null` says "none" and absence something else: `sliding_window` of Mistral, `head_dim` of Qwen3.
   *
   * @param absent what absence says
   * @returns undefined for null
   */
  nullablePositiveInt(field: string, absent: number | undefined): number | undefined {
    return Object.hasOwn(this.json, field) ? this.optionalPositiveInt(field) : absent;
  }

  /** An integer in [0, 2^53). */
  nonNegativeInt(field: FieldName, fallback?: number): number {
    return this.#read(field, fallback, "a non-negative integer", (value) => isInteger(value) && value >= 0);
  }

  /** A number that is finite in f32, in which it is computed with. */
  number(field: FieldName, fallback?: number): number {
    return this.#read(field, fallback, "a finite number of 32 bits", isFiniteNumber);
  }

  /** One above 0, as large as the normal ones of f32, so that its inverse is finite, too: epsilons, thetas, factors. */
  positiveNumber(field: FieldName, fallback?: number): number {
    const isPositive = (value: unknown): boolean => isFiniteNumber(value) && value >= 2 ** -126;
    return this.#read(field, fallback, "a positive number of 32 bits", isPositive);
  }

  /** Like nullablePositiveInt, of a finite number above 0: a cap. */
  nullablePositiveNumber(field: string, absent: number | undefined): number | undefined {
    const value = Object.hasOwn(this.json, field) ? this.json[field] : absent;
    return value === undefined || value === null ? undefined : this.positiveNumber(field, absent);
  }

  /** With a default of true, null is an error: Python takes it for false. */
  bool(field: string, fallback?: boolean): boolean {
    const isNull = Object.hasOwn(this.json, field) && this.json[field] === null;
    if (isNull && fallback === true) this.fail(field, "true or false");
    return this.#read(field, fallback, "true or false", (value) => typeof value === "boolean");
  }

  string(field: FieldName, fallback?: string): string {
    return this.#read(field, fallback, "a string", (value) => typeof value === "string");
  }

  /** One of a few strings. */
  oneOf<T extends string>(field: FieldName, values: readonly T[], fallback?: T): T {
    const expected = `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`;
    return this.#read(field, fallback, expected, (value): value is T => values.includes(value as T));
  }

  /** A list of a few strings, such as `layer_types`; undefined if absent. */
  optionalListOf<T extends string>(field: string, values: readonly T[]): readonly T[] | undefined {
    if (!this.has(field)) return undefined;
    const expected = `a list of ${values.map((value) => JSON.stringify(value)).join(" or ")}`;
    const isListOf = (list: unknown): list is T[] =>
      Array.isArray(list) && list.every((item) => values.includes(item as T));
    return this.#read<readonly T[]>(field, undefined, expected, isListOf);
  }

  /** A list of non-negative integers, such as `mlp_only_layers`. */
  intList(field: FieldName, fallback?: readonly number[]): readonly number[] {
    const isIntList = (value: unknown): value is number[] =>
      Array.isArray(value) && value.every((item) => isInteger(item) && item >= 0);
    return this.#read(field, fallback, "a list of non-negative integers", isIntList);
  }

  /**
   * Two numbers from 0 on, the first finite in f32, the second no smaller; it may be infinite: transformers writes Infinity, which `parseJson`
   * takes, or since version 4.57 `{"__float__": "Infinity"}`.
   */
  limits(field: FieldName, fallback: readonly [number, number]): readonly [number, number] {
    const numberOf = (value: unknown): unknown =>
      isObject(value) && value["__float__"] === "Infinity" ? Infinity : value;
    const isLimits = (value: unknown): boolean => {
      if (!Array.isArray(value) || value.length !== 2) return false;
      const [least, most] = value.map(numberOf);
      return isFiniteNumber(least) && typeof most === "number" && least >= 0 && most >= least;
    };
    const given: readonly unknown[] = this.#read(
      field,
      fallback,
      "two numbers from 0 on, in order, the first finite",
      isLimits,
    );
    return given.map(numberOf) as unknown as readonly [number, number];
  }

  /** A reader of a nested object; the names in its errors carry the path. */
  object(field: FieldName): ConfigReader {
    const json = this.#read<JsonObject>(field, undefined, "an object", isObject);
    return new ConfigReader(this.file, json, `${this.nameOf(this.#find(field).name)}.`);
  }

  /** Like object, but undefined if absent: for `rope_scaling`. */
  optionalObject(field: FieldName): ConfigReader | undefined {
    return this.has(field) ? this.object(field) : undefined;
  }

  /** File and name of a field, for messages. */
  place(field: FieldName): string {
    return `${this.file}: ${this.nameOf(this.#find(field).name)}`;
  }

  /**
   * Throws for a field that breaks a rule of the caller, such as one field dividing another.
   *
   * @param expected completes "expected ..."
   */
  fail(field: FieldName, expected: string): never {
    const { value } = this.#find(field);
    throw new CheckpointError(
      "ERR_CHECKPOINT_CONFIG",
      `${this.place(field)}: expected ${expected}, got ${show(value)}`,
      { file: this.file },
    );
  }

  #read<T>(
    field: FieldName,
    fallback: T | undefined,
    expected: string,
    accepts: (value: unknown) => boolean,
  ): T {
    const { name, value } = this.#find(field);
    if (value === undefined && fallback !== undefined) return fallback;
    if (!accepts(value)) this.fail(name, expected);
    return value as T;
  }

  #find(field: FieldName): { readonly name: string; readonly value: unknown } {
    const names = typeof field === "string" ? [field] : field;
    const present = names
      .map((name) => ({ name, value: Object.hasOwn(this.json, name) ? this.json[name] : undefined }))
      .filter(({ value }) => value !== undefined && value !== null);
    const [first, ...others] = present;
    if (first === undefined) return { name: names.join(" or "), value: undefined };
    const other = others.find(({ value }) => value !== first.value);
    if (other === undefined) return first;
    const said = `${this.nameOf(first.name)} is ${show(first.value)}, but ${other.name} is ${show(other.value)}`;
    throw new CheckpointError("ERR_CHECKPOINT_CONFIG", `${this.file}: ${said}`, { file: this.file });
  }
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

// JSON has no Infinity, but "1e999" is valid JSON and parses to it.
function isFiniteNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}
