// What a case of a row of a table of request fields is.
import { expect } from "vitest";
import type { Asked } from "./support.js";

export interface Seen {
  /** What the engine was given. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly asked: Asked | undefined;
  /** The answer, and that of the same request without the field. */
  readonly text: string;
  readonly usual: string;
}

export interface Supported {
  readonly good: unknown;
  readonly wrong: readonly unknown[];
  /** Other fields that it needs. */
  readonly also?: object;
  readonly does: (seen: Seen) => void;
}

export type FieldCase =
  | Supported
  /** `asks` for what is refused; `neutral` values do not. */
  | { readonly asks: unknown; readonly neutral?: readonly unknown[] }
  | { readonly sent: unknown };

export type Cases = Readonly<Record<string, FieldCase>>;

/** The value arrives as an option of the engine. */
export const option = (
  name: string,
  good: unknown,
  wrong: readonly unknown[],
  expected = good,
): Supported => ({
  good,
  wrong,
  does: ({ options }) => expect(options[name]).toEqual(expected),
});

export const tool = (fields: object) => ({ type: "function", function: { name: "f", ...fields } });

/** An answer without what differs from request to request. */
export function plain(text: string): string {
  return text.replaceAll(/"(id|created|created_at)":("[^"]*"|\d+)/g, "");
}

export const model: Supported = {
  good: "m",
  wrong: ["x", "../models/tiny-moe", "/etc/passwd", 3, ["m"]],
  does: ({ text, usual }) => expect(text.length).toBe(usual.length),
};

/** Whose the request is: chooses among versions, of which there is one here. */
export const owner = (good: unknown, wrong: readonly unknown[]): Supported => ({
  good,
  wrong,
  does: ({ text, usual }) => expect(plain(text)).toBe(plain(usual)),
});

/** Of the arguments of a tool. */
export const schema = { type: "object", properties: {} };
