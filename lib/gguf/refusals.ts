/** GGUF files that do not run, by what they say of themselves: other things than models, and weights in blocks of other types than those that run. */
import { show } from "../checkpoint/json.js";
import type { TensorEntry } from "../checkpoint/tensorFiles.js";
import { CheckpointError } from "../errors.js";
import type { Metadata } from "./metadata.js";
import { tensorTypesThatRun } from "./tensorTypes.js";

/** By `general.type`, or `general.architecture`. */
const others: Readonly<Record<string, string>> = {
  adapter:
    "an adapter, which changes a model and is none: merge it into its base model and convert the result",
  imatrix: "an importance matrix, which steers how a model is quantised",
  mmproj: "the part of a model that sees or hears (mmproj), not the model",
  clip: "the part of a model that sees or hears (mmproj), not the model",
  controlvector: "a control vector, which steers a model and is none",
};

/** @throws CheckpointError ERR_CHECKPOINT_FORMAT naming what the file is */
export function refuseOtherFiles(metadata: Metadata, tensors: ReadonlyMap<string, TensorEntry>): void {
  const fail = (what: string): CheckpointError => {
    const message = `${metadata.file}: expected a model, got ${what}`;
    return new CheckpointError("ERR_CHECKPOINT_FORMAT", message, { file: metadata.file });
  };
  for (const key of ["general.type", "general.architecture"]) {
    const kind = metadata.text(key);
    const what = kind !== undefined && Object.hasOwn(others, kind) ? others[kind] : undefined;
    if (what !== undefined) throw fail(what);
  }
  const type = metadata.text("general.type");
  if (type !== undefined && type !== "model") throw fail(`a file of type ${show(type)}`);
  if (tensors.size === 0) throw fail("a file without tensors, such as one of a vocabulary alone");
}

/** @throws CheckpointError ERR_CHECKPOINT_TENSOR naming the types, and a tensor of each */
export function refuseBlocks(metadata: Metadata, tensors: ReadonlyMap<string, TensorEntry>): void {
  const firstOf = new Map<string, TensorEntry>();
  for (const entry of tensors.values()) {
    const [, type] = /^unsupported:(.*)$/.exec(entry.dtype) ?? [];
    if (type !== undefined && !firstOf.has(type)) firstOf.set(type, entry);
  }
  const [first] = firstOf.values();
  if (first === undefined) return;
  const found = [...firstOf].map(([type, { name }]) => `${type} (${name})`).join(", ");
  const message =
    `${metadata.file}: weights in ${found} do not run here; those that do are ${tensorTypesThatRun.join(", ")}: take another file of the ` +
    "model, or its safetensors checkpoint";
  throw new CheckpointError("ERR_CHECKPOINT_TENSOR", message, { file: first.file, tensor: first.name });
}
