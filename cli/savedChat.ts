/** Talks in files: `{ "model": "...", "messages": [{ "role": "user", "content": "..." }, ...] }`, as the OpenAI API has messages. */
import { readFile, writeFile } from "node:fs/promises";
import type { ChatMessage } from "../lib/index.js";
import { CommandError } from "./failure.js";

/** @param isOwn the file may be written over @throws CommandError */
export async function saveChat(
  file: string,
  chat: { readonly model: string; readonly messages: readonly ChatMessage[] },
  isOwn: boolean,
): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(chat, null, 2)}\n`, { flag: isOwn ? "w" : "wx" });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CommandError(code === "EEXIST" ? `${file} is there already: take another name` : message);
  }
}

/** @throws CommandError that names the file and the field */
export async function loadChat(file: string): Promise<readonly ChatMessage[]> {
  const fail = (problem: string) => new CommandError(`${file}: ${problem}`);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new CommandError(
      error instanceof SyntaxError ? `${file} is no JSON: ${error.message}` : (error as Error).message,
    );
  }
  const messages = (json as { readonly messages?: unknown } | null)?.messages;
  if (!Array.isArray(messages)) throw fail("messages: expected a list");
  let expected = "system or user";
  for (const [i, message] of (messages as readonly unknown[]).entries()) {
    const { role, content } = (message ?? {}) as { readonly role?: unknown; readonly content?: unknown };
    if (typeof role !== "string" || !expected.split(" or ").includes(role))
      throw fail(`messages[${i}].role: expected ${expected}, got ${JSON.stringify(role)}`);
    if (typeof content !== "string")
      throw fail(`messages[${i}].content: expected a text, got ${JSON.stringify(content)}`);
    expected = role === "user" ? "assistant" : "user";
  }
  return messages as readonly ChatMessage[];
}
