/**
 * Which GGUF files of a hub repository are meant by a quantisation, such as Q4_K_M: publishers put it behind the name of the model, and
 * most repositories have many. Knows only names of files; who knows what is in them may look at their beginning while they are fetched.
 */
import type { FileHandle } from "node:fs/promises";
import { readFully } from "./tensorFiles.js";

/**
 * @param head the first bytes of a file
 * @param file named in errors
 * @returns false if it takes more of them to say whether the model runs
 * @throws CheckpointError if it does not
 */
export type CheckHead = (head: Uint8Array, sizeBytes: number, file: string) => boolean;

/** Headers have a vocabulary, of up to 20 MB. */
const [firstHeadBytes, mostHeadBytes] = [1 << 20, 64 << 20];

/** Calls a check as a file arrives, each time with twice as many bytes. */
export function watchHead(
  check: CheckHead,
  sizeBytes: number,
  file: string,
): (part: FileHandle, loadedBytes: number) => Promise<void> {
  let next = Math.min(firstHeadBytes, sizeBytes);
  let isDone = false;
  return async (part, loadedBytes) => {
    while (!isDone && loadedBytes >= next) {
      const head = new Uint8Array(next);
      await readFully(part, head, { file, position: 0 });
      isDone = check(head, sizeBytes, file) || next === sizeBytes || next >= mostHeadBytes;
      next = Math.min(2 * next, sizeBytes);
    }
  };
}

/** A GGUF file of a model, or all parts of one that is split. */
export interface GgufModel {
  /** The parts in order; of one that is whole, itself. */
  readonly files: readonly string[];
  /** How many parts there should be. */
  readonly numParts: number;
  /** What stands behind the name of the model. */
  readonly label: string;
}

/** What is no model: the part that sees, statistics of quantisation, a head that predicts further tokens. */
const others = /^(?:mmproj|imatrix|mtp)\b/i;
const partPattern = /^(.*)-(\d{5})-of-(\d{5})$/;
/** Some publishers mark how the weights were chosen in front of it. */
const labelPattern = /(?:^|[-.])((?:(?:ud|i1)[-.])?\w+)$/i;

/** The models of a repository. @param names of its files, with their folders */
export function ggufModels(names: Iterable<string>): readonly GgufModel[] {
  const models = new Map<string, { files: string[]; numParts: number; label: string }>();
  for (const name of [...names].sort()) {
    const [, path] = /^(.*)\.gguf$/i.exec(name) ?? [];
    if (path === undefined || others.test(baseName(path))) continue;
    const [, stem = path, , count = "1"] = partPattern.exec(path) ?? [];
    const key = `${stem} ${count}`;
    const label = labelPattern.exec(baseName(stem))?.[1] ?? baseName(stem);
    const model = models.get(key) ?? { files: [], numParts: Number(count), label };
    model.files.push(name);
    models.set(key, model);
  }
  return [...models.values()];
}

/**
 * The one model that is wanted.
 *
 * @param wanted a quantisation, in any case, or the name of a file, the first of its parts
 * @returns or what is wrong, which completes "org/name: "
 */
export function chooseGguf(names: Iterable<string>, wanted: string): GgufModel | string {
  const models = ggufModels(names);
  if (models.length === 0) return "the repository has no GGUF file of a model";
  const lower = wanted.toLowerCase();
  const first = ({ files }: GgufModel): string => files[0]!.toLowerCase();
  const label = (model: GgufModel): string => model.label.toLowerCase();
  // The first of these that holds for any.
  const rules: readonly ((model: GgufModel) => boolean)[] = [
    (model) => first(model) === lower,
    (model) => baseName(first(model)) === lower,
    (model) => label(model) === lower,
    (model) => label(model).replace(/^(?:ud|i1)[-.]/, "") === lower,
    (model) => first(model).split(/[-./]/).includes(lower),
  ];
  const found = rules.map((rule) => models.filter(rule)).find((some) => some.length > 0) ?? [];
  const [model, ...more] = found;
  if (model === undefined) return `the repository has no GGUF file of ${wanted}; it has ${labelsOf(models)}`;
  if (more.length > 0) {
    const files = shortList(found.map(({ files }) => files[0]!));
    return `several GGUF files are of ${wanted}: ${files}; give the name of one in its place`;
  }
  if (model.files.length < model.numParts)
    return `the repository lacks parts of ${model.files[0]}: ${model.files.length} of ${model.numParts} are there`;
  return model;
}

/** What can be asked for. */
export function labelsOf(models: readonly GgufModel[]): string {
  return shortList([...new Set(models.map(({ label }) => label))]);
}

function shortList(items: readonly string[]): string {
  const shown = items.slice(0, 40).join(", ");
  return items.length > 40 ? `${shown} and ${items.length - 40} more` : shown;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
