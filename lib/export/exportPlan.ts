/**
 * What becomes of each tensor of a checkpoint that is written in codes: the matrices that a load would quantise (weights/quantizePlan.ts), as far as
 * other readers take them; everything else as it is.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import type { FloatDType } from "../device/dtype.js";
import type { MadeCodes } from "../weights/codedMatrix.js";
import type { ModelWeightTable } from "../weights/modelWeights.js";
import { madeCodes, quantizedAs, type QuantizeOption } from "../weights/quantizePlan.js";
import { resolveWeights } from "../weights/weightMap.js";

/** A matrix that is written in codes. */
export interface ExportedMatrix {
  readonly entry: TensorEntry;
  readonly dtype: FloatDType;
  /** "model.layers.0.mlp.up_proj" */
  readonly module: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly made: MadeCodes;
}

export interface ExportPlan {
  /** By the name of the tensor. */
  readonly matrices: ReadonlyMap<string, ExportedMatrix>;
  /** Modules with a matrix, or a stack of matrices, that stays as it is. */
  readonly ignored: readonly string[];
}

/**
 * Heads stay as they are: few readers take one in codes. So do matrices that are stored transposed, or as a stack of experts: codes of
 * compressed-tensors are those of one matrix [N, K].
 */
export function planExport(
  table: ModelWeightTable,
  checkpoint: Checkpoint,
  option: QuantizeOption,
): ExportPlan {
  const rowOf = new Map(table.rows.map((row) => [row.slot, row]));
  const isEmbedding = (slot: string) => ["embedding", "table"].includes(rowOf.get(slot)!.form);
  const candidates = new Map<string, ExportedMatrix | undefined>();
  const embeddings = new Set<string>();
  for (const { slot, parts, storedCopy = [] } of resolveWeights(table, checkpoint)) {
    const row = rowOf.get(slot)!;
    for (const { entry, dtype, transpose } of [...parts, ...storedCopy]) {
      if (isEmbedding(slot)) embeddings.add(entry.name);
      const isMatrix =
        entry.shape.length === 2 && !transpose && !row.stacked && entry.name.endsWith(".weight");
      const [outputs = 0, inputs = 0] = entry.shape;
      const isWhole = isMatrix && row.quantized === undefined && quantizedAs(option, row) !== undefined;
      const made = isWhole ? madeCodes(option, inputs) : undefined;
      const module = entry.name.replace(/\.weight$/, "");
      const matrix = made && { entry, dtype, module, outputs, inputs, made };
      // A tensor that several weights take rows of has codes if all of them may have.
      const known = candidates.has(entry.name) ? candidates.get(entry.name) : matrix;
      candidates.set(entry.name, matrix && known);
    }
  }
  const matrices = new Map([...candidates].flatMap(([name, matrix]) => (matrix ? [[name, matrix]] : [])));
  // Of "mlp.experts.gate_up_proj", a stack, the module is "mlp.experts".
  const ignored = [...checkpoint.tensors.values()].flatMap(({ name, shape }) =>
    shape.length >= 2 && !matrices.has(name) && !embeddings.has(name) ? [name.replace(/\.[^.]+$/, "")] : [],
  );
  // A tied head has no tensor, and is a module all the same.
  return { matrices, ignored: [...new Set(["lm_head", ...ignored])] };
}
