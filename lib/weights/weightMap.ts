/**
 * From checkpoint tensors to the weights of a model. A model declares its weights as data (`WeightTable`); resolving the
 * table against a checkpoint verifies every name, dtype and shape and gives the plan that a loader walks. No tensor data
 * is read here.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import type { FloatDType } from "../device/dtype.js";
import { CheckpointError } from "../errors.js";
import { narrowed, type Range, type RowView, type StoredRows } from "./rowView.js";
import { checkShard, rangeOf, type Shard, shardColumns, wholeModel } from "./shard.js";
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
  readonly dtype: FloatDType;
  /** The module that it belongs to: "q_proj" of "model.layers.0.self_attn.q_proj.weight". */
  readonly module: string;
  /** Whose rows; 0 without experts. */
  readonly expert: number;
  /** The first of its rows in the weight (of the expert), and how many. */
  readonly firstRow: number;
  readonly rows: number;
  /** Its bytes of the entry, and their shape: with stacked experts those of one. */
  readonly stored: StoredRows;
  /** It is stored [in, out]. */
  readonly transpose: boolean;
  /** Undefined: all rows as they are stored. */
  readonly view: RowView | undefined;
  /** Undefined: all columns. */
  readonly columns: Range | undefined;
  /** Undefined: the numbers as they are. */
  readonly map: ((value: number) => number) | undefined;
}

/** Buffers that old exports contain and that no model needs: they can be computed from the config. */
const harmlessBuffers: readonly RegExp[] = [
  /(^|\.)rotary_emb\.inv_freq$/,
  // Causal masks of GPT-2. A parameter of that name would be declared, and then it is not looked up here.
  /(^|\.)attn\.(bias|masked_bias)$/,
];

/**
 * Matches a table with a checkpoint.
 *
 * @param table what the model needs
 * @param checkpoint what there is
 * @param shard which part of each weight is wanted; all of the checkpoint is verified all the same
 * @returns the weights outside the layers in table order, then layer by layer
 * @throws CheckpointError ERR_CHECKPOINT_TENSOR listing all missing, wrong and unexpected tensors (ten of each by name)
 * @throws ArgumentRangeError if the table contradicts itself, or a weight cannot be divided as its row says
 */
export function resolveWeights(
  table: WeightTable,
  checkpoint: Pick<Checkpoint, "tensors" | "folder">,
  shard: Shard = wholeModel,
): PlannedWeight[] {
  checkTable(table);
  checkShard(shard, table.numLayers);
  const resolver = new Resolver(table, checkpoint, shard);
  const plan = resolver.resolveRows();
  resolver.throwProblems();
  return plan;
}

class Resolver {
  readonly #table: WeightTable;
  readonly #checkpoint: Pick<Checkpoint, "tensors" | "folder">;
  readonly #shard: Shard;
  readonly #used = new Set<string>();
  readonly #missing: string[] = [];
  readonly #wrong: { readonly entry: TensorEntry; readonly problem: string }[] = [];

  constructor(table: WeightTable, checkpoint: Pick<Checkpoint, "tensors" | "folder">, shard: Shard) {
    this.#table = table;
    this.#checkpoint = checkpoint;
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
    const ignored = [...harmlessBuffers, ...(this.#table.ignored ?? [])];
    const unexpected = [...this.#checkpoint.tensors.values()].filter(
      ({ name }) => !this.#used.has(name) && !ignored.some((pattern) => pattern.test(name)),
    );
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
      `${this.#checkpoint.folder}: the tensors do not fit the model: ${problems.join("; ")}`,
      { file: entry?.file, tensor: entry?.name ?? this.#missing[0] },
    );
  }

  #resolve(row: WeightRow, layer: number | undefined): PlannedWeight {
    const numExperts = isPerExpert(row) || row.stacked ? this.#table.numExperts! : undefined;
    const sources: Source[] = [];
    for (let expert = 0; expert < (numExperts ?? 1); expert++) {
      for (const [place, pattern] of row.from.entries()) {
        const name = pattern.replaceAll("{layer}", String(layer)).replaceAll("{expert}", String(expert));
        sources.push({ name, place, expert, entry: this.#find(name) });
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

  #find(name: string): TensorEntry | undefined {
    const alternatives = (this.#table.prefixAlternatives ?? [])
      .filter(({ from }) => name.startsWith(from))
      .map(({ from, to }) => to + name.slice(from.length));
    for (const candidate of [name, ...alternatives]) {
      const entry = this.#checkpoint.tensors.get(candidate);
      if (entry === undefined) continue;
      this.#used.add(candidate);
      return entry;
    }
    return undefined;
  }

  /** Records what is missing or wrong, of all ranks. */
  #verify(row: WeightRow, sources: readonly Source[]): void {
    for (const { name, place, expert, entry } of sources) {
      if (row.stacked && expert > 0) continue; // the tensor of the first expert
      if (entry === undefined) {
        this.#missing.push(name);
        continue;
      }
      const problem =
        dtypeProblem(entry, sources[place]!.entry ?? entry) ?? this.#shapeProblem(row, place, entry);
      if (problem !== undefined) this.#wrong.push({ entry, problem });
    }
  }

  /** What a rank has of a tensor. @param experts that the rank has */
  #partOf(row: WeightRow, { place, expert, entry }: Source, experts: Range): PlannedPart[] {
    const index = expert - experts.start;
    if (entry === undefined || index < 0 || index >= experts.count) return [];
    const shard = this.#shard;
    const view = viewOf(row, place, shard);
    const { transpose = false } = row;
    const bytes = entry.byteLength / (row.stacked ? this.#table.numExperts! : 1);
    return [
      {
        entry,
        // Any other dtype was recorded as a problem, and the plan is then thrown away.
        dtype: entry.dtype as FloatDType,
        module: moduleOf(entry.name),
        expert: index,
        firstRow: row.from.slice(0, place).reduce((sum, _, i) => sum + rowsOf(row, i, shard), 0),
        rows: rowsOf(row, place, shard),
        ...narrowed(
          { start: row.stacked ? expert * bytes : 0, bytes, shape: row.shapes[place]! },
          transpose,
          view,
        ),
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

  #shapeProblem(row: WeightRow, place: number, entry: TensorEntry): string | undefined {
    const shape = [
      ...(row.stacked ? [this.#table.numExperts!] : []),
      ...(row.fileShapes?.[place] ?? row.shapes[place]!),
    ];
    const isEqual = entry.shape.length === shape.length && shape.every((size, i) => size === entry.shape[i]);
    const said = row.sizeFields ? ` (${row.sizeFields.join(", ")})` : "";
    return isEqual
      ? undefined
      : `shape: expected [${shape.join(", ")}]${said}, got [${entry.shape.join(", ")}]`;
  }
}

/** A tensor that a weight is made of. */
interface Source {
  readonly name: string;
  /** Its index in `from`. */
  readonly place: number;
  readonly expert: number;
  /** Undefined: not in the checkpoint. */
  readonly entry: TensorEntry | undefined;
}

/** @param first the same part of the first expert: a stack of experts has one format */
function dtypeProblem(entry: TensorEntry, first: TensorEntry): string | undefined {
  const isFloat = entry.dtype === "f32" || entry.dtype === "f16" || entry.dtype === "bf16";
  if (!isFloat) return `dtype: expected f32, f16 or bf16, got ${entry.dtype.replace(/^unsupported:/, "")}`;
  if (entry.dtype === first.dtype) return undefined;
  return `dtype: expected ${first.dtype} as in ${first.name}, got ${entry.dtype}`;
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
