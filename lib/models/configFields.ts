/**
 * What a family makes of every field of config.json. A field that changes the forward pass is honoured or refused by name:
 * each family has one literal table, the fields that mean the same everywhere are in foreignFields.ts, and what none of them
 * knows is warned about. Values are not checked here, except that a refused field may say what leaving it out says.
 */
import { decoderParts } from "../checkpoint/config.js";
import type { ConfigReader } from "../checkpoint/configReader.js";
import { show } from "../checkpoint/json.js";
import { CheckpointError } from "../errors.js";
import { quantizationFields } from "../quantization/quantization.js";
import { warn } from "../warning.js";
import { foreignFields, irrelevantFields, type Refusal } from "./foreignFields.js";

export interface FieldTable {
  /** Values of `model_type` that mean this forward pass. */
  readonly modelTypes: readonly string[];
  /** The family reads these: each changes the forward pass, or the shapes. */
  readonly used: readonly string[];
  /** These change no logits: training, caching, other heads. */
  readonly irrelevant: readonly string[];
  /** These would change the logits in a way that the family does not have. */
  readonly refused: Readonly<Record<string, Refusal>>;
}

/**
 * Holds a config against the table of its family. The family's own `used` fields win over what is refused elsewhere.
 *
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming the first field that is refused
 */
export function checkFields(reader: ConfigReader, table: FieldTable): void {
  if (reader.has("model_type")) reader.oneOf("model_type", table.modelTypes);
  // How weights are stored is read for all families alike (lib/quantization), and changes no forward pass.
  const known = new Set([...table.used, ...table.irrelevant, ...irrelevantFields, ...quantizationFields]);
  const refused: Readonly<Record<string, Refusal>> = { ...foreignFields, ...table.refused };
  const unknown: string[] = [];
  for (const [field, value] of Object.entries(reader.json)) {
    // Names with an underscore in front are notes of transformers to itself.
    if (known.has(field) || field.startsWith("_") || isNothing(value)) continue;
    const refusal = Object.hasOwn(refused, field) ? refused[field]! : undefined;
    if (refusal === undefined) unknown.push(field);
    else if (!refusal.neutral.includes(value)) throw refusedField(reader, table, field, refusal);
  }
  if (unknown.length > 0) warnUnknown(reader, table, unknown);
}

function isNothing(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function refusedField(
  reader: ConfigReader,
  { modelTypes }: FieldTable,
  field: string,
  { what, neutral }: Refusal,
): CheckpointError {
  const allowed = ["nothing", ...neutral.map(show)].join(" or ");
  return new CheckpointError(
    "ERR_CHECKPOINT_CONFIG",
    `${reader.file}: ${reader.nameOf(field)}: expected ${allowed}, got ${show(reader.json[field])}: model type "${modelTypes[0]}" runs ` +
      `here without ${what}`,
    { file: reader.file },
  );
}

function warnUnknown(reader: ConfigReader, { modelTypes }: FieldTable, unknown: readonly string[]): void {
  const names = unknown
    .slice(0, 10)
    .map((name) => (decoderParts.includes(name) ? `${show(name)} (but for its token ids)` : show(name)));
  const more = unknown.length > names.length ? ` and ${unknown.length - names.length} more` : "";
  warn(
    "WARN_UNKNOWN_FIELD",
    `${reader.file}: not known for model type "${modelTypes[0]}" and ignored: ${names.join(", ")}${more}. ` +
      "If one of them changes the forward pass, the results are not those of the model",
  );
}
