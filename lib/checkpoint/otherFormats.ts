/**
 * Recognises what is in place of a checkpoint in safetensors format, so that an error can name it and say what to do: other
 * weight formats and adapters. For messages only; nothing here is loaded.
 */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { CheckpointError } from "../errors.js";
import { readJsonObject, show } from "./json.js";

const save =
  "AutoModelForCausalLM.from_pretrained(...).save_pretrained(...) of transformers writes safetensors";

/** By file name; the first that a folder has is the one that is named. */
const formats: readonly { readonly pattern: RegExp; readonly what: string; readonly advice: string }[] = [
  {
    pattern: /\.gguf$/i,
    what: "GGUF",
    advice: "LLM.load takes the path of such a file on this machine",
  },
  {
    pattern: /^pytorch_model.*\.bin(\.index\.json)?$|\.(pth?|ckpt)$/,
    what: "PyTorch pickles, which are not read because they can run code",
    advice: save,
  },
  { pattern: /^(tf_model.*\.h5|flax_model.*\.msgpack)$/, what: "TensorFlow or Flax weights", advice: save },
  { pattern: /\.(onnx|npz|tflite|mlmodel)$/, what: "an export for another engine", advice: save },
  {
    pattern: /^(?!model\.safetensors$|adapter_model).*\.safetensors$/,
    what: "safetensors under another name",
    advice: "the names are model.safetensors, or those of a model.safetensors.index.json",
  },
];

/**
 * @param names of the files in a folder or repository
 * @returns continues a sentence about what is missing; empty when there is nothing to recognise
 */
export function otherFormatHint(names: readonly string[]): string {
  if (names.includes("model.safetensors") || names.includes("model.safetensors.index.json")) return "";
  for (const { pattern, what, advice } of formats) {
    const found = names.filter((name) => pattern.test(name)).sort();
    if (found.length === 0) continue;
    const more = found.length > 1 ? ` and ${found.length - 1} more` : "";
    return `; it has ${found[0]}${more}: ${what}; ${advice}`;
  }
  return "";
}

const parts = "config.json, model.safetensors or its shards with their index and, for text, tokenizer.json";

/** The same for the files in a folder, and what belongs into one that is empty. */
export async function folderHint(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => undefined);
  if (names?.length === 0) return `; the folder is empty: a checkpoint has ${parts}`;
  return otherFormatHint(names ?? []);
}

/** What to do with a path that is a file and should be a folder; empty where nothing is known about it. */
export function fileHint(path: string): string {
  const name = basename(path);
  if (/\.(safetensors|json|jinja)$/.test(name)) return "; give the folder that it is in";
  const format = formats.find(({ pattern }) => pattern.test(name));
  return format ? ` of ${format.what}; ${format.advice}` : "";
}

/**
 * An adapter is not a model: with its base model it gives other logits than without it.
 *
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT naming the base model
 */
export async function refuseAdapter(folder: string): Promise<void> {
  const file = join(folder, "adapter_config.json");
  const json = await readJsonObject(file, { maxBytes: 1_000_000, code: "ERR_CHECKPOINT_FORMAT" });
  if (json === undefined) return;
  const { peft_type: type, base_model_name_or_path: base } = json;
  const kind = typeof type === "string" ? ` (${show(type)})` : "";
  const of = typeof base === "string" ? ` of ${show(base)}` : "";
  throw new CheckpointError(
    "ERR_CHECKPOINT_FORMAT",
    `${file}: this is an adapter${kind}${of}, not a model, and adapters are not applied here: ` +
      "merge it into its base model (merge_and_unload of PEFT, then save_pretrained) and load the result",
    { file },
  );
}
