/** Finds the chat templates of a checkpoint, by name. Which of them a chat is rendered with is chatTemplate.ts's business. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describeError, isObject, show, type JsonObject } from "../checkpoint/json.js";
import { TextError } from "../errors.js";
import { loadTokenizerConfig, readSpecialTokens } from "./specialTokens.js";
import { parseJsonObject, readTextFile } from "./textFile.js";

export interface TemplateFiles {
  /** The file they come from; named in errors. */
  readonly file: string;
  /** Jinja text by name; empty if there is none. */
  readonly sources: ReadonlyMap<string, string>;
  /** Variables such as bos_token. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

const code = "ERR_CHAT_TEMPLATE";
/** Real templates have up to 30 KB. */
const maxTemplateBytes = 1_000_000;
/** Real checkpoints have up to three. */
const maxTemplates = 100;

/**
 * Looks where transformers looks: chat_template.jinja ("default") and additional_chat_templates/NAME.jinja; without these
 * `chat_template` of tokenizer_config.json, one text or a list of {name, template}; and at last chat_template.json, where
 * older checkpoints of models with a processor keep it.
 *
 * @param folder path of the checkpoint folder
 * @throws TextError ERR_CHAT_TEMPLATE if a file cannot be read or `chat_template` has the wrong form
 */
export async function readTemplateFiles(folder: string): Promise<TemplateFiles> {
  const tokenizerConfig = await loadTokenizerConfig(folder, code);
  const specialTokens = readSpecialTokens(tokenizerConfig).byName;
  const template = await readTextFile(join(folder, "chat_template.jinja"), maxTemplateBytes, code);
  const additional = await readAdditional(join(folder, "additional_chat_templates"));
  if (template !== undefined) additional.set("default", template);
  if (additional.size > 0) {
    const file = join(folder, template === undefined ? "additional_chat_templates" : "chat_template.jinja");
    return { file, sources: additional, specialTokens };
  }
  const configFile = join(folder, "tokenizer_config.json");
  const sources = sourcesOf(tokenizerConfig.config, configFile);
  if (sources.size > 0) return { file: configFile, sources, specialTokens };
  const legacyFile = join(folder, "chat_template.json");
  const legacy = await readTextFile(legacyFile, 2 * maxTemplateBytes, code);
  if (legacy === undefined) return { file: configFile, sources, specialTokens };
  return {
    file: legacyFile,
    sources: sourcesOf(parseJsonObject(legacy, legacyFile, code), legacyFile),
    specialTokens,
  };
}

async function readAdditional(folder: string): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const name of await jinjaFiles(folder)) {
    const source = await readTextFile(join(folder, name), maxTemplateBytes, code);
    if (source !== undefined) sources.set(name.slice(0, -".jinja".length), source);
  }
  return sources;
}

async function jinjaFiles(folder: string): Promise<readonly string[]> {
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith(".jinja")).sort();
    if (names.length <= maxTemplates) return names;
    throw new TextError(
      code,
      `${folder}: expected at most ${maxTemplates} templates, got ${names.length}`,
      folder,
    );
  } catch (cause) {
    if (cause instanceof TextError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new TextError(code, `${folder}: ${describeError(cause)}`, folder, { cause });
  }
}

/** `chat_template` of a JSON file by name: one string, or a list of {name, template}. */
function sourcesOf(config: JsonObject, file: string): ReadonlyMap<string, string> {
  const value = config["chat_template"] ?? undefined;
  if (value === undefined) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  const entries = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  return new Map(
    entries.map((entry, i) => {
      const { name, template } = isObject(entry) ? entry : {};
      if (typeof name === "string" && typeof template === "string") return [name, template] as const;
      const expected = "expected a string or a list of {name, template}";
      const message = `${file}: chat_template: ${expected}, got ${show(entry)} at index ${i}`;
      throw new TextError(code, message, file);
    }),
  );
}
