/**
 * From checkpoint tensors to the weights of a model. A model declares its weights as data (`WeightTable`); resolving the
 * table against a checkpoint verifies every name, dtype and shape and gives the plan that a loader walks. No tensor data
 * is read here.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import type { FloatDType } from "../device/dtype.js";
import { CheckpointError } from "../errors.js";
import type { Quantization } from "../quantization/quantization.js";
import type { CodedMatrix, MadeCodes } from "./codedMatrix.js";
import { narrowed, type Range, type RowView, type StoredBytes } from "./rowView.js";
import { checkShard, rangeOf, type Shard, shardColumns, wholeModel } from "./shard.js";
import { type Problem, type Source, Sources } from "./sources.js";
import {
  checkTable,
  isOfRank,
  isPerExpert,
  isPerLayer,
  rowsOf,
  storedColumns,
  viewOf,
  type WeightRow,
  type WeightTable,
} from "./weightTable.js";

/** One weight of one layer: parts that lie one after another along its rows, in the dtypes in which they are stored. */
export interface PlannedWeight {
  readonly slot: string;
  /** Undefined for weights outside the layers. */
  readonly layer: number | undefined;
  /** For each expert, each of `from`. Empty if tied. */
  readonly parts: readonly PlannedPart[];
  /** On the device, after concatenation and transposition; with experts [E, N, K]. */
  readonly shape: readonly number[];
  /** Slot whose values are used instead. */
  readonly tiedTo: string | undefined;
  /** Of a tied weight: what the checkpoint stores under its own name all the same. */
  readonly storedCopy?: readonly PlannedPart[];
}

/** A stored tensor as rows of a weight. */
export interface PlannedPart {
  readonly entry: TensorEntry;
  /** Of its numbers; f32 of a matrix in codes, whose products of code and scale are rounded to it. */
  readonly dtype: FloatDType;
  /** The matrix that `entry` has the codes of; undefined: floats. */
  readonly coded: CodedMatrix | undefined;
  /** Of floats: the codes that the load is to make of them; undefined: none. */
  readonly made?: MadeCodes | undefined;
  /** The module that it belongs to: "q_proj" of "model.layers.0.self_attn.q_proj.weight". */
  readonly module: string;
  /** Whose rows; 0 without experts. */
  readonly expert: number;
  /** The first of its rows in the weight (of the expert), and how many. */
  readonly firstRow: number;
  readonly rows: number;
  /** Its bytes of the entry, and their shape: with stacked experts those of one. */
  readonly stored: StoredBytes;
  /** It is stored [in, out]. */
  readonly transpose: boolean;
  /** Undefined: all rows as they are stored. */
  readonly view: RowView | undefined;
  /** Undefined: all columns. */
  readonly columns: Range | undefined;
  /** Undefined: the numbers as they are. */
  readonly map: ((value: number) => number) | undefined;
}

/**
 * Matches a table with a checkpoint.
 *
 * @param table what the model needs
 * @param checkpoint what there is
 * @param shard which part of each weight is wanted; all of the checkpoint is verified all the same
 * @param quantization what its config says of matrices in codes
 * @returns the weights outside the layers in table order, then layer by layer
 * @throws CheckpointError ERR_CHECKPOINT_TENSOR listing all missing, wrong and unexpected tensors (ten of each by name)
 * @throws ArgumentRangeError if the table contradicts itself, or a weight cannot be divided as its row says
 */
export function resolveWeights(
  table: WeightTable,
  checkpoint: Pick<Checkpoint, "tensors" | "folder">,
  shard: Shard = wholeModel,
  quantization?: Quantization,
): PlannedWeight[] {
  checkTable(table);
  checkShard(shard, table.numLayers);
  const resolver = new Resolver(table, checkpoint, shard, quantization);
  const plan = resolver.resolveRows();
  resolver.throwProblems();
  return plan;
}

class Resolver {
  readonly #table: WeightTable;
  readonly #folder: string;
  readonly #sources: Sources;
  readonly #shard: Shard;
  readonly #missing: string[] = [];
  readonly #wrong: Problem[] = [];

  constructor(
    table: WeightTable,
    checkpoint: Pick<Checkpoint, "tensors" | "folder">,
    shard: Shard,
    quantization: Quantization | undefined,
  ) {
    this.#table = table;
    this.#folder = checkpoint.folder;
    this.#sources = new Sources(table, checkpoint, quantization);
    this.#shard = shard;
  }

  resolveRows(): PlannedWeight[] {
    const { rows, numLayers } = this.#table;
    const { layers = { start: 0, count: numLayers } } = this.#shard;
    const isOwn = (row: WeightRow) => isOfRank(row, this.#shard, numLayers);
    const outside = rows.filter((row) => !isPerLayer(row));
    const resolved = outside.map((row) => this.#resolve(row, undefined));
    const own = resolved.filter((_, i) => isOwn(outside[i]!));
    const shared = new Set(own.map(({ tiedTo }) => tiedTo)); // a head that is tied needs the embedding, whoever runs that
    const plan = resolved.filter((weight) => own.includes(weight) || shared.has(weight.slot));
    for (let layer = 0; layer < numLayers; layer++) {
      const isRun = layer >= layers.start && layer < layers.start + layers.count;
      for (const row of rows) {
        if (!isPerLayer(row) || row.onlyLayers?.includes(layer) === false) continue;
        const weight = this.#resolve(row, layer); // which also verifies it
        if (isRun && isOwn(row)) plan.push(weight);
      }
    }
    return plan;
  }

  throwProblems(): void {
    const unexpected = this.#sources.unexpected();
    const problems = [
      ...summarise("missing", this.#missing),
      ...summarise(
        "wrong",
        this.#wrong.map(({ entry, problem }) => `${entry.name} (${problem})`),
      ),
      ...summarise(
        "unexpected",
        unexpected.map(({ name }) => name),
      ),
    ];
    if (problems.length === 0) return;
    const entry = this.#wrong[0]?.entry ?? (this.#missing.length === 0 ? unexpected[0] : undefined);
    throw new CheckpointError(
      "ERR_CHECKPOINT_TENSOR",
      `${this.#folder}: the tensors do not fit the model: ${problems.join("; ")}`,
      { file: entry?.file, tensor: entry?.name ?? this.#missing[0] },
    );
  }

  #resolve(row: WeightRow, layer: number | undefined): PlannedWeight {
    const numExperts = isPerExpert(row) || row.stacked ? this.#table.numExperts! : undefined;
    const sources: Source[] = [];
    for (let expert = 0; expert < (numExperts ?? 1); expert++) {
      for (const [place, pattern] of row.from.entries()) {
        const name = pattern.replaceAll("{layer}", String(layer)).replaceAll("{expert}", String(expert));
        sources.push(this.#sources.find(row, name, place, expert));
      }
    }
    const isStored = sources.some(({ entry }) => entry !== undefined);
    const isTied = row.tiedTo !== undefined && (row.tiedTo.when === "always" || !isStored);
    if (!isTied || isStored) this.#verify(row, sources);
    const own = numExperts === undefined ? undefined : this.#expertsOf(row, numExperts);
    const stored = sources.flatMap((source) => this.#partOf(row, source, own ?? { start: 0, count: 1 }));
    return {
      slot: row.slot,
      layer,
      parts: isTied ? [] : stored,
      shape: this.#deviceShape(row, own?.count),
      tiedTo: isTied ? row.tiedTo.slot : undefined,
      ...(isTied && isStored && { storedCopy: stored }),
    };
  }

  /** Records what is missing or wrong, of all ranks. */
  #verify(row: WeightRow, sources: readonly Source[]): void {
    for (const source of sources) {
      const { entry, expert, place } = source;
      if (row.stacked && expert > 0) continue; // the tensor of the first expert
      this.#missing.push(...this.#sources.missingOf(source));
      if (entry) this.#wrong.push(...this.#sources.problemsOf(row, { ...source, entry }, sources[place]!));
    }
  }

  /** What a rank has of a tensor. @param experts that the rank has */
  #partOf(row: WeightRow, source: Source, experts: Range): PlannedPart[] {
    const { place, expert, entry } = source;
    const index = expert - experts.start;
    if (entry === undefined || index < 0 || index >= experts.count) return [];
    const shard = this.#shard;
    const view = viewOf(row, place, shard);
    const coded = this.#sources.codedMatrix(row, source);
    const { transpose = false } = coded ? {} : row;
    const bytes = entry.byteLength / (row.stacked ? this.#table.numExperts! : 1);
    const whole = { start: row.stacked ? expert * bytes : 0, bytes, shape: row.shapes[place]! };
    return [
      {
        entry,
        // Any other dtype was recorded as a problem, and the plan is then thrown away.
        dtype: coded ? "f32" : (entry.dtype as FloatDType),
        coded,
        module: moduleOf(source.name),
        expert: index,
        firstRow: row.from.slice(0, place).reduce((sum, _, i) => sum + rowsOf(row, i, shard), 0),
        rows: rowsOf(row, place, shard),
        ...(coded ? { stored: whole, view } : narrowed(whole, transpose, view)),
        transpose,
        columns: shardColumns(row.slot, row.split, storedColumns(row), shard),
        map: row.map,
      },
    ];
  }

  #expertsOf({ slot, split }: WeightRow, numExperts: number): Range {
    if (split?.axis !== "experts") return { start: 0, count: numExperts };
    return rangeOf(`experts of ${slot}`, numExperts, this.#shard.ep);
  }

  #deviceShape(row: WeightRow, numExperts: number | undefined): number[] {
    const rows = row.from.reduce((sum, _, i) => sum + rowsOf(row, i, this.#shard), 0);
    const columns = shardColumns(row.slot, row.split, storedColumns(row), this.#shard);
    const rest = row.transpose ? row.shapes[0]!.slice(0, 1) : row.shapes[0]!.slice(1);
    const shape = [rows, ...(columns ? [columns.count] : rest)];
    return numExperts === undefined ? shape : [numExperts, ...shape];
  }
}

/** "q_proj" of "model.layers.0.self_attn.q_proj.weight" */
function moduleOf(name: string): string {
  const steps = name.replace(/\.(weight|bias)$/, "").split(".");
  return steps.at(-1)!;
}

function summarise(kind: string, named: readonly string[]): string[] {
  const items = [...new Set(named)]; // a tensor may have rows of several places
  if (items.length === 0) return [];
  const more = items.length > 10 ? ` and ${items.length - 10} more` : "";
  return [`${items.length} ${kind}: ${items.slice(0, 10).join(", ")}${more}`];
}
