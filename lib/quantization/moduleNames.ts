/**
 * Lists of modules in configs of quantised checkpoints: those that were not converted, or those that a scheme is for.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { NamePattern } from "./namePattern.js";

/** Of one list; names alone may be more. */
const maxPatterns = 1000;

/** How a list names a module: the smaller, the closer. */
export const Match = { name: 0, pattern: 1, class: 2, none: 3 } as const;

/**
 * A list of compressed-tensors: whole names, and behind `re:` patterns that a name begins with.
 *
 * @param all an entry that means every matrix: the name of a class
 * @returns how it names a module, one of `Match`
 */
export function exactNames(reader: ConfigReader, field: string, all?: string): (module: string) => number {
  const entries = namesOf(reader, field);
  const names = new Set(entries.filter((entry) => !entry.startsWith("re:")));
  const sources = entries.filter((entry) => entry.startsWith("re:")).map((entry) => entry.slice(3));
  const patterns = patternsOf(reader, field, sources);
  const other = all !== undefined && names.has(all) ? Match.class : Match.none;
  return (module) => {
    if (names.has(module)) return Match.name;
    return patterns.some((pattern) => pattern.matches(module)) ? Match.pattern : other;
  };
}

/**
 * A list of transformers: steps of a path, "lm_head", "mlp.gate" or "model.layers.0", wherever they stand in a name, or a pattern that a
 * name begins with, "model.layers.*.self_attn".
 */
export function partialNames(reader: ConfigReader, field: string): (module: string) => boolean {
  const entries = namesOf(reader, field);
  const names = new Set(entries);
  const sources = entries.filter((entry) => /[*+?^$|()[\]{}\\]/.test(entry));
  const patterns = patternsOf(reader, field, sources);
  return (module) => {
    const steps = module.split(".");
    for (let start = 0; start < steps.length; start++)
      for (let end = steps.length; end > start; end--)
        if (names.has(steps.slice(start, end).join("."))) return true;
    return patterns.some((pattern) => pattern.matches(module));
  };
}

function namesOf(reader: ConfigReader, field: string): readonly string[] {
  const value = reader.json[field] ?? [];
  const isList = Array.isArray(value) && value.every((entry) => typeof entry === "string");
  return isList ? value : reader.fail(field, "a list of names of modules");
}

function patternsOf(reader: ConfigReader, field: string, sources: readonly string[]): readonly NamePattern[] {
  if (sources.length > maxPatterns) reader.fail(field, `at most ${maxPatterns} patterns`);
  return sources.map((source) => patternOf(reader, field, source));
}

/** @throws CheckpointError naming the field and what of the pattern is not understood */
export function patternOf(reader: ConfigReader, field: string, source: string): NamePattern {
  try {
    return new NamePattern(source);
  } catch (error) {
    return reader.fail(
      field,
      `patterns of names (${JSON.stringify(source.slice(0, 100))}: ${String(error)})`,
    );
  }
}
