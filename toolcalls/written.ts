/** How a row of the table of families says what calls look like: the texts that its states read, as the models were trained to write them. */
import type { Members, Thoughts } from "../lib/index.js";

/** What stands in a call besides its markers. */
export type Slot =
  /** The name of the function, as it is, or as a string of JSON. */
  | { readonly slot: "name" | "quotedName" }
  /** Which call of the answer it is, from 0. */
  | { readonly slot: "index" }
  /** The arguments: as an object of JSON, or one by one. */
  | { readonly slot: "json" }
  | ({ readonly slot: "members" } & Omit<Members, "members" | "name" | "types" | "untyped">);

export interface WrittenCalls {
  /** The vocabulary has it as a token: a family may have written otherwise before. */
  readonly token?: string;
  /** Before the first call, between two, and behind the last one. */
  readonly open?: string;
  readonly between?: string;
  readonly close?: string;
  readonly call: readonly (string | Slot)[];
  /** Names that can be written. */
  readonly names?: RegExp;
  /** Calls of one answer. */
  readonly most?: number;
}

/** An answer that stands between markers. */
export interface WrittenAnswer {
  readonly open: string;
  /** What may come before an answer, or a call. */
  readonly thoughts: Thoughts;
  /** What stands in none of these texts. */
  readonly never: readonly string[];
}

export const name = { slot: "name" } as const;
export const quotedName = { slot: "quotedName" } as const;
export const json = { slot: "json" } as const;

/** Longer names of functions and arguments are no names for the readers, which take the blanks around them away. */
export const maxNameChars = 512;
export const isReadable = (text: string): boolean => text.trim() === text && text.length <= maxNameChars;

/** The pattern of names of arguments that can be written and are read. @param not characters of a class that are in none */
export const argumentNames = (not: string): string => `^(?!\\s)[^${not}]{1,${maxNameChars}}(?<!\\s)$`;
