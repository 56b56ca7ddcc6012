/** Ids of calls, as the families want them. */
import { randomInt } from "node:crypto";
import type { ToolSyntax, WrittenName } from "./syntax.js";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const randomText = (length: number): string =>
  Array.from({ length }, () => letters[randomInt(letters.length)]).join("");

/** Mistral's template takes no other ids. */
export const isMistralId = (id: string): boolean => /^[A-Za-z0-9]{9}$/.test(id);

/** Kimi's templates and the model itself have the name and the number of the call in its id. */
export const kimiId = (name: string, index: number): string => `functions.${name}:${index}`;

/** @param written the id that the model wrote, if it did */
export function makeId(kind: ToolSyntax["ids"], name: string, index: number, written?: string): string {
  switch (kind) {
    case "openai":
      return written ?? `call_${randomText(24)}`;
    case "mistral":
      return written !== undefined && isMistralId(written) ? written : randomText(9);
    case "kimi":
      return written ?? kimiId(name, index);
  }
}

/** What a collected text says of the function. */
export function readName(kind: ToolSyntax["ids"], text: string): WrittenName {
  const trimmed = text.trim();
  if (kind !== "kimi") return { name: trimmed };
  const found = /^(?:functions\.)?(.+?)(?::\d+)?$/.exec(trimmed);
  return { name: found?.[1] ?? "", ...(/^functions\..+:\d+$/.test(trimmed) && { id: trimmed }) };
}
