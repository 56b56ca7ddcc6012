/**
 * How the matrices of a quantised checkpoint are stored, as its config says it. What a stored format means, only the addon knows; what the
 * tensors beside the codes have to be is lib/weights/storedMatrix.ts.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { show } from "../checkpoint/json.js";
import { warn } from "../warning.js";

/** The stored formats that schemes of safetensors files have. */
export type SchemeFormat = "int8" | "fp8" | "packed4" | "packed8" | "gptq4" | "gptq8" | "awq4" | "mxfp4";

/** How one matrix is stored. */
export interface MatrixScheme {
  readonly format: SchemeFormat;
  /** Inputs that share a scale; 0: all of them. */
  readonly group: number;
  /** Outputs that share a scale; 0: all of them. */
  readonly scaleRows: number;
  /** Names of its tensors: endings that stand for ".weight", or behind the name of a tensor that has no such ending. */
  readonly tensors: {
    readonly codes: string;
    /** One of these. */
    readonly scales: readonly string[];
    /** Without it, where it need not be there, a zero point is what the format says. */
    readonly zeros?: string | undefined;
    /** The group of each input, where groups are no neighbours. */
    readonly groupOfInput?: string | undefined;
    /** May be there, and no product reads them: sizes, scales of activations. */
    readonly unread: readonly string[];
  };
  readonly needsZeros?: boolean;
  /** Added to stored zero points: 1 where they are stored less one. */
  readonly addToZeros: 0 | 1;
  /** The config says that groups are no neighbours: `groupOfInput` has to be there. */
  readonly needsGroupOfInput?: boolean;
  /** Zero points are all alike, so that a file which says the wrong version shows it. */
  readonly symmetric?: boolean;
  /** The field that says so, for messages. */
  readonly saidBy: string;
}

/** What a config says of all matrices. */
export interface Quantization {
  /** `quant_method`, for messages. */
  readonly method: string;
  /** Where it says so, for messages. */
  readonly file: string;
  /** @param module name of a matrix without ".weight" @returns undefined for one that stays dense */
  schemeOf(module: string): MatrixScheme | undefined;
  /** Why a module stays dense, for messages: the field whose list has it; undefined: no list. */
  leftOutBy(module: string): string | undefined;
}

/** Scales of a KV cache in codes and of activations, which stand beside matrices: what is kept here is exact, or as `kvDtype` says. */
export const scalesOfActivations: readonly RegExp[] = [
  /\.self_attn\.(attn\.)?[qkv]_(scale|zero_point)$/,
  /\.self_attn\.(attn\.)?(kv_scale|kv_cache\.scale)$/,
  /\.self_attn\.[qkv]_proj\.([qkv]_scale|output_scale|output_zero_point)$/,
];

/** @throws CheckpointError if a field says anything else than nothing, or one of `neutral` */
export function requireNothing(reader: ConfigReader, field: string, neutral: readonly unknown[] = []): void {
  if (!reader.has(field)) return;
  const value = reader.json[field];
  const isEmpty = typeof value === "object" && Object.keys(value!).length === 0;
  if (isEmpty || neutral.includes(value)) return;
  reader.fail(field, ["nothing", ...neutral.map(show)].join(" or "));
}

/** Warns about the fields that no reader knows. */
export function warnUnknownFields(reader: ConfigReader, known: readonly string[]): void {
  const names = Object.entries(reader.json).flatMap(([field, value]) => {
    const isNothing = value === null || (typeof value === "object" && Object.keys(value).length === 0);
    return known.includes(field) || field.startsWith("_") || isNothing ? [] : [reader.nameOf(field)];
  });
  if (names.length === 0) return;
  const shown = names.slice(0, 10).map(show).join(", ");
  const more = names.length > 10 ? ` and ${names.length - 10} more` : "";
  warn(
    "WARN_UNKNOWN_FIELD",
    `${reader.file}: not known of quantised weights and ignored: ${shown}${more}. If one of them changes what the weights are, the ` +
      "results are not those of the model",
  );
}

/** `group_size`: -1 and null are all inputs. */
export function readGroup(
  reader: ConfigReader,
  field: string | readonly string[],
  fallback?: number,
): number {
  const names = typeof field === "string" ? [field] : field;
  if (names.some((name) => reader.json[name] === -1)) return 0;
  return reader.positiveInt(field, fallback);
}
