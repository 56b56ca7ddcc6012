/** A call that has begun: its arguments as JSON that grows, and text within it that belongs to none of them. */
import type { TypesOf } from "./argumentTypes.js";
import { RawValue, type ValueRule } from "./rawValue.js";

const onlyString = new Set(["string"] as const);
/** What is no string, where the family says so of a value. */
const noString = new Set(["number", "boolean", "null", "object", "array"] as const);

export class OpenCall {
  readonly index: number;
  readonly #types: TypesOf;
  readonly #pieces: string[] = [];
  #stray = "";
  #isKeyed = false;
  #key = "";
  #rule: ValueRule | undefined;
  #flag: string | undefined;
  #value: RawValue | undefined;

  constructor(index: number, types: TypesOf, rule: ValueRule | undefined) {
    this.index = index;
    this.#types = types;
    this.#rule = rule;
  }

  /** Text between the arguments: handed out behind the call. */
  get stray(): string {
    return this.#stray;
  }

  addStray(text: string): void {
    if (this.#stray !== "" || text.trim() !== "") this.#stray += text;
  }

  /** Notes JSON of the arguments. @returns the same */
  json(text: string): string {
    if (text !== "") this.#pieces.push(text);
    return text;
  }

  /** @returns the JSON with which the argument of this key begins */
  key(key: string): string {
    const begin = this.#isKeyed ? "," : "{";
    this.#isKeyed = true;
    this.#key = key;
    this.#flag = undefined;
    this.#value = undefined;
    return this.json(`${begin}${JSON.stringify(key)}:`);
  }

  /** Whether the value is a string, "true" or "false". */
  flag(flag: string): void {
    this.#flag = flag;
  }

  /** @returns JSON of a piece of a raw value */
  value(text: string): string {
    return this.json(this.#open().push(text));
  }

  endValue(): string {
    const json = this.json(this.#open().end());
    this.#value = undefined;
    return json;
  }

  /** @returns what was read of a value and not handed out, when its end does not come */
  abandonValue(): string {
    return this.json(this.#value?.abandon() ?? "");
  }

  /** @returns the JSON with which the arguments end */
  close(): string {
    if (this.#isKeyed) return this.json("}");
    return this.#pieces.length === 0 ? this.json("{}") : "";
  }

  /** Whether the arguments are a whole object of JSON. */
  get isComplete(): boolean {
    try {
      const value: unknown = JSON.parse(this.#pieces.join(""));
      return typeof value === "object" && value !== null && !Array.isArray(value);
    } catch {
      return false;
    }
  }

  #open(): RawValue {
    if (this.#value) return this.#value;
    const types = this.#flag === "true" ? onlyString : this.#types(this.#key);
    const rule = this.#rule ?? { trimsLineBreaks: false, untyped: "string" };
    this.#value = new RawValue(rule, this.#flag === "false" ? noString : types);
    return this.#value;
  }
}
