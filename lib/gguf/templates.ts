/** The chat templates of a GGUF file, by name. */
import type { TemplateFiles } from "../text/templateFiles.js";
import type { Metadata } from "./metadata.js";
import { specialTexts } from "./vocabulary.js";

const key = "tokenizer.chat_template";
const maxTemplates = 100;

export function ggufTemplates(metadata: Metadata): TemplateFiles {
  const sources = new Map<string, string>();
  const template = metadata.text(key);
  if (template !== undefined) sources.set("default", template);
  for (const name of metadata.keys()) {
    if (name.startsWith(`${key}.`) && sources.size < maxTemplates)
      sources.set(name.slice(key.length + 1), metadata.text(name)!);
  }
  return { file: metadata.file, sources, specialTokens: specialTexts(metadata) };
}
