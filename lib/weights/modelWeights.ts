/**
 * The weights of a model on its device, by slot and layer, each in the form that its op reads. Owns their memory.
 */
import { byteLength, type FloatDType } from "../device/dtype.js";
import { type Memory, Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import type { EmbeddingTable } from "../ops/embedding.js";
import type { GroupedWeight, LinearWeight } from "../ops/packLinear.js";
import { formatText, type WeightFormat } from "../ops/weightFormat.js";
import { isPerExpert, type WeightRow, type WeightTable } from "./weightTable.js";

/**
 * - "vector": norm weights and biases, f32
 * - "filters": the taps of a depthwise convolution, [C, 1, W], f32
 * - "table": rows that `embedding` gathers, as stored
 * - "embedding": the same; one weight with a "linear" slot that is tied to it, where that keeps it in the same format
 * - "linear": a matrix packed for `linear`; "gatedLinear" is gate and up, with SwiGLU
 * - "experts": a stack of matrices packed for `groupedLinear`; "gatedExperts" are gate and up, with SwiGLU
 * - "heads": for each head a matrix [N, K], packed for `headLinear`; "turnedHeads" are those matrices stored as [K, N]. What is stored is
 *   one matrix, whose rows a view has as [heads, rows of each]
 * - "expertVectors": a vector for each expert, such as their biases, f32
 */
export type WeightForm = keyof typeof forms;

/** What a row of the form stores. */
const forms = {
  vector: "vectors",
  filters: "matrices",
  table: "matrices",
  embedding: "matrices",
  linear: "matrices",
  gatedLinear: "matrices",
  experts: "matrices of experts",
  gatedExperts: "matrices of experts",
  heads: "matrices",
  turnedHeads: "matrices",
  expertVectors: "vectors of experts",
} as const;

export interface ModelWeightRow extends WeightRow {
  readonly form: WeightForm;
  /**
   * Of a matrix whose errors cost more than others': what a load that quantises makes of it at most. "never": it chooses something, as
   * routers do; "int8": a head.
   */
  readonly quantized?: "never" | "int8";
}

export interface ModelWeightTable extends WeightTable {
  readonly rows: readonly ModelWeightRow[];
}

/** The form of each slot. @throws ArgumentRangeError if what a row stores cannot have its form */
export function formsOf({ rows }: ModelWeightTable): ReadonlyMap<string, WeightForm> {
  for (const row of rows) {
    const things = row.shapes[0]!.length === 1 ? "vectors" : "matrices";
    const stored = isPerExpert(row) || row.stacked ? `${things} of experts` : things;
    if (forms[row.form] === stored && (!isOfHeads(row.form) || hasHeads(row))) continue;
    const expected = isOfHeads(row.form)
      ? "of one matrix as [heads, rows], by an order"
      : `of ${forms[row.form]}`;
    throw new ArgumentRangeError(
      `formsOf: slot ${row.slot}: form "${row.form}" is ${expected}, got ${stored}`,
    );
  }
  return new Map(rows.map(({ slot, form }) => [slot, form]));
}

function isOfHeads(form: WeightForm): boolean {
  return form === "heads" || form === "turnedHeads";
}

/** With an order the axes of a view stay, whatever is taken of it. */
function hasHeads({ from, rowViews }: WeightRow): boolean {
  const view = rowViews?.[0];
  return from.length === 1 && view?.axes.length === 2 && view.order?.[0] === 0;
}

type Loaded = Tensor | LinearWeight | GroupedWeight;

/** The weights of a model that are kept in one format. */
export interface WeightSummary {
  /** "bf16", "int4 in groups of 128" */
  readonly format: string;
  /** What products make of activations first: nothing, or bytes. */
  readonly activations: "float" | "int8";
  readonly parameters: number;
  readonly bytes: number;
  /** Scales, zero points and what fills blocks counted in. */
  readonly bitsPerWeight: number;
}

export class ModelWeights {
  readonly #vectors = new Map<string, Tensor>();
  readonly #filters = new Map<string, Tensor>();
  readonly #tables = new Map<string, Tensor>();
  readonly #embeddings = new Map<string, EmbeddingTable>();
  readonly #linears = new Map<string, LinearWeight>();
  readonly #experts = new Map<string, GroupedWeight>();
  readonly #heads = new Map<string, GroupedWeight>();
  readonly #expertVectors = new Map<string, Tensor>();
  readonly #owned = new Set<Memory>();

  /** Device memory of everything. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.#owned) sum += bytes;
    return sum;
  }

  /** What is kept in each format, the largest first; what is shared is counted once. */
  summarize(): WeightSummary[] {
    const maps: readonly ReadonlyMap<string, Loaded>[] = [
      ...[this.#vectors, this.#filters, this.#tables, this.#embeddings],
      ...[this.#linears, this.#experts, this.#heads, this.#expertVectors],
    ];
    const sums = new Map<string, Omit<WeightSummary, "bitsPerWeight">>();
    const add = (format: WeightFormat, parameters: number, { dtype, numel }: Tensor): void => {
      const activations = format.format === "dense" ? "float" : format.activation;
      const name = formatText(format).replace(/^dense /, "");
      const known = sums.get(name + activations) ?? { parameters: 0, bytes: 0 };
      sums.set(name + activations, {
        ...{ format: name, activations, parameters: known.parameters + parameters },
        bytes: known.bytes + byteLength(dtype, numel),
      });
    };
    for (const loaded of new Set(maps.flatMap((map) => [...map.values()]))) {
      if (Tensor.is(loaded))
        add({ format: "dense", dtype: loaded.dtype as FloatDType }, loaded.numel, loaded);
      else
        for (const { format, outputs, inputs, data } of loaded.segments)
          add(format, data.size(0) * outputs * inputs, data);
    }
    return [...sums.values()]
      .map((sum) => ({ ...sum, bitsPerWeight: (8 * sum.bytes) / sum.parameters }))
      .sort((a, b) => b.bytes - a.bytes);
  }

  /** [N] f32 */
  vector(slot: string, layer?: number): Tensor {
    return found(this.#vectors, slot, layer);
  }

  /** `vector`, or undefined if the table has no such slot: biases and norms that only some checkpoints have. */
  optionalVector(slot: string, layer?: number): Tensor | undefined {
    return this.#vectors.get(keyOf(slot, layer));
  }

  /** [C, W] f32 */
  filters(slot: string, layer?: number): Tensor {
    const filters = found(this.#filters, slot, layer); // [C, 1, W]
    return filters.reshape([filters.size(0), filters.size(-1)]);
  }

  /** [rows, columns] in the stored dtype */
  table(slot: string): Tensor {
    return found(this.#tables, slot, undefined);
  }

  /** [V, D] in the stored dtype */
  embedding(slot: string): EmbeddingTable {
    return found(this.#embeddings, slot, undefined);
  }

  linear(slot: string, layer?: number): LinearWeight {
    return found(this.#linears, slot, layer);
  }

  experts(slot: string, layer?: number): GroupedWeight {
    return found(this.#experts, slot, layer);
  }

  /** H matrices */
  heads(slot: string, layer?: number): GroupedWeight {
    return found(this.#heads, slot, layer);
  }

  /** `heads`, or undefined if it was not loaded. */
  optionalHeads(slot: string, layer?: number): GroupedWeight | undefined {
    return this.#heads.get(keyOf(slot, layer));
  }

  /** [E, N] f32 */
  expertVectors(slot: string, layer?: number): Tensor {
    return found(this.#expertVectors, slot, layer);
  }

  // Whoever adds a weight gives its memory to `ownMemory`.

  addVector(slot: string, layer: number | undefined, vector: Tensor): void {
    this.#vectors.set(keyOf(slot, layer), vector);
  }

  addFilters(slot: string, layer: number | undefined, filters: Tensor): void {
    this.#filters.set(keyOf(slot, layer), filters);
  }

  addTable(slot: string, table: Tensor): void {
    this.#tables.set(slot, table);
  }

  addEmbedding<T extends EmbeddingTable>(slot: string, table: T): T {
    this.#embeddings.set(slot, table);
    return table;
  }

  addLinear(slot: string, layer: number | undefined, weight: LinearWeight): LinearWeight {
    this.#linears.set(keyOf(slot, layer), weight);
    return weight;
  }

  addExperts(slot: string, layer: number | undefined, weight: GroupedWeight): GroupedWeight {
    this.#experts.set(keyOf(slot, layer), weight);
    return weight;
  }

  addHeads(slot: string, layer: number | undefined, weight: GroupedWeight): GroupedWeight {
    this.#heads.set(keyOf(slot, layer), weight);
    return weight;
  }

  addExpertVectors(slot: string, layer: number | undefined, vectors: Tensor): void {
    this.#expertVectors.set(keyOf(slot, layer), vectors);
  }

  /** Takes ownership of a tensor that is no weight of the table, such as a table of angles. */
  own(tensor: Tensor): Tensor {
    this.ownMemory(tensor.memory);
    return tensor;
  }

  /** Takes ownership of the memory behind weights. */
  ownMemory(memory: Memory): void {
    this.#owned.add(memory);
  }

  /** Frees everything once every stream has passed this point. Idempotent. */
  dispose(): void {
    for (const memory of this.#owned) memory.dispose();
    this.#owned.clear();
  }
}

function keyOf(slot: string, layer: number | undefined): string {
  return layer === undefined ? slot : `${layer}.${slot}`;
}

function found<T extends Loaded>(
  weights: ReadonlyMap<string, T>,
  slot: string,
  layer: number | undefined,
): T {
  const weight = weights.get(keyOf(slot, layer));
  if (weight === undefined)
    throw new ArgumentRangeError(`model: no weight of that form in slot ${keyOf(slot, layer)}`);
  return weight;
}
