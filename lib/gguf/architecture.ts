/**
 * What is to be known of an architecture of GGUF files: which model it is, where each field of that model's config.json comes from, and
 * under which names and in which layouts the file has its tensors. The architectures themselves are in llama.ts, qwen.ts and the like.
 */
import type { TensorEntry } from "../checkpoint/tensorFiles.js";
import type { ModelWeightRow } from "../weights/modelWeights.js";
import type { Metadata } from "./metadata.js";

/** What a config is made of. */
export interface GgufContents {
  /** `general.architecture` */
  readonly architecture: string;
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Values of the tensors that the architecture asks for by `smallTensors`, of those that the file has. */
  readonly small: ReadonlyMap<string, Float32Array>;
  /** The value of a key of the architecture: "block_count" is `llama.block_count`. */
  own(key: string): unknown;
  has(tensor: string): boolean;
}

/** Where a field of config.json comes from. */
export type Origin =
  /** A key of the architecture, which has to be there. */
  | { readonly key: string }
  /** What keys and tensors say together; undefined leaves the field out. `keys` are those that it reads, `prefix` what they have in common. */
  | { readonly keys: readonly string[]; readonly prefix?: string; of(contents: GgufContents): unknown }
  /** It is so in all models of the architecture. */
  | { readonly always: unknown }
  /** The field is left out: why. */
  | { readonly none: string };

/** How the file has the tensors of a module of the checkpoint. */
export interface ModuleLayout {
  /** Its name there: "attn_q" */
  readonly name: string;
  /** One tensor for all experts. */
  readonly stacked?: true;
  /** Rows of heads whose pairs stand side by side: row 2i + j of a head is row j * headDim / 2 + i of the checkpoint. */
  readonly sideBySide?: true;
  /** The file has what the model's own map makes of the checkpoint's numbers: 1 + w, -exp(w). */
  readonly mapped?: true;
  /** What its name ends in, where the checkpoint has a parameter without a module of its own. Default: ".weight". */
  readonly suffix?: ".bias" | "";
  /** Its axes in the file, where the same numbers have others there. */
  readonly fileShape?: (shape: readonly number[], contents: GgufContents) => readonly number[];
}

export interface Architecture {
  /** Of `general.architecture`; and which of the models that share it: undefined is the only one, or the last. */
  readonly name: string;
  readonly isMeant?: (contents: GgufContents) => boolean;
  /** `architectures` and `model_type` of config.json. */
  readonly model: string;
  readonly modelType: string;
  /** Every field that the family reads. */
  readonly fields: Readonly<Record<string, Origin>>;
  /** Keys of the architecture that change nothing here. */
  readonly irrelevant: readonly string[];
  /** Keys that say what is so in any case, and may be missing: other values are refused. */
  readonly only?: Readonly<Record<string, readonly unknown[]>>;
  /** By the module's name in a checkpoint, without "model.layers.{layer}." in front and the ".weight" or ".bias" behind. */
  readonly modules: Readonly<Record<string, string | ModuleLayout>>;
  /** Weights that the file has in other tensors than `modules` can say, by slot: undefined for one that it has as they say. */
  readonly rows?: Readonly<
    Record<string, (row: ModelWeightRow, contents: GgufContents) => ModelWeightRow | undefined>
  >;
  /** Tensors that the config is made from, and that no weight is. */
  readonly smallTensors?: readonly string[];
}

/** A number for each layer, as one where all are the same. */
export function uniform(value: unknown): unknown {
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [];
  return list.length > 0 && list.every((item) => item === list[0]) ? list[0] : value;
}
