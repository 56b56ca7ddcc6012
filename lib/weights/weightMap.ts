/**
 * From checkpoint tensors to the weights of a model. A model declares its weights as data (`WeightTable`); resolving the
 * table against a checkpoint verifies every name, dtype and shape and gives the plan that a loader walks. No tensor data
 * is read here.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/safetensors.js";
import { ArgumentRangeError, CheckpointError } from "../errors.js";

/**
 * One weight of a model, in every layer if its names contain `{layer}`.
 *
 * ```ts
 * { slot: "layers.qkv",
 *   from: ["model.layers.{layer}.self_attn.q_proj.weight",
 *          "model.layers.{layer}.self_attn.k_proj.weight",
 *          "model.layers.{layer}.self_attn.v_proj.weight"],
 *   shapes: [[Hq * Dh, D], [Hkv * Dh, D], [Hkv * Dh, D]] }
 * ```
 */
export interface WeightRow {
  /** Name of the weight in the model; unique in the table. */
  readonly slot: string;
  /**
   * Checkpoint tensors, concatenated along axis 0 in this order. Names with `{expert}` are concatenated for each expert
   * and stacked: gate and up of [F, D] become [E, 2F, D].
   */
  readonly from: readonly string[];
  /** Shape of each of `from` as the checkpoint stores it. */
  readonly shapes: readonly (readonly number[])[];
  /** The checkpoint stores [in, out] (Conv1D of GPT-2), the device wants [out, in]. Matrices only. */
  readonly transpose?: boolean;
  /** Layers that have this weight; all if left out. Only with `{layer}`. */
  readonly onlyLayers?: readonly number[];
  /**
   * Share the weight of another slot: "always" (a stored copy has to be of the same values, see tiedWeights.ts), or only when
   * none of `from` is in the checkpoint.
   */
  readonly tiedTo?: { readonly slot: string; readonly when: "always" | "missing" };
}

export interface WeightTable {
  readonly rows: readonly WeightRow[];
  readonly numLayers: number;
  /** Required if a name contains `{expert}`. */
  readonly numExperts?: number;
  /** A name that starts with `from` may start with `to` instead: `{ from: "transformer.", to: "" }`. */
  readonly prefixAlternatives?: readonly { readonly from: string; readonly to: string }[];
  /** Tensors that this model does not use, besides the buffers that are ignored for every model. */
  readonly ignored?: readonly RegExp[];
}

/** One weight of one layer. The loader copies `parts` one after another into one device tensor of `shape`. */
export interface PlannedWeight {
  readonly slot: string;
  /** Undefined for weights outside the layers. */
  readonly layer: number | undefined;
  /** In device order: for each expert, each of `from`. Empty if tied. */
  readonly parts: readonly TensorEntry[];
  /** Of all parts. For a tied weight that of the shared one. */
  readonly dtype: "f32" | "f16" | "bf16";
  /** On the device, after concatenation and transposition. */
  readonly shape: readonly number[];
  /** Each part is stored [in, out] and transposed before it is appended. */
  readonly transpose: boolean;
  /** Slot whose device tensor is used instead of a new one. */
  readonly tiedTo: string | undefined;
  /** Of a tied weight: what the checkpoint stores under its own name all the same. */
  readonly storedCopy?: readonly TensorEntry[];
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
 * @returns the weights outside the layers in table order, then layer by layer
 * @throws CheckpointError ERR_CHECKPOINT_TENSOR listing all missing, wrong and unexpected tensors (ten of each by name)
 * @throws ArgumentRangeError if the table contradicts itself
 */
export function resolveWeights(
  table: WeightTable,
  checkpoint: Pick<Checkpoint, "tensors" | "folder">,
): PlannedWeight[] {
  checkTable(table);
  const resolver = new Resolver(table, checkpoint);
  const plan = resolver.resolveRows();
  resolver.throwProblems();
  return plan;
}

class Resolver {
  readonly #table: WeightTable;
  readonly #checkpoint: Pick<Checkpoint, "tensors" | "folder">;
  readonly #used = new Set<string>();
  readonly #missing: string[] = [];
  readonly #wrong: { readonly entry: TensorEntry; readonly problem: string }[] = [];

  constructor(table: WeightTable, checkpoint: Pick<Checkpoint, "tensors" | "folder">) {
    this.#table = table;
    this.#checkpoint = checkpoint;
  }

  resolveRows(): PlannedWeight[] {
    const { rows, numLayers } = this.#table;
    const plan = rows.filter((row) => !isPerLayer(row)).map((row) => this.#resolve(row, undefined));
    for (let layer = 0; layer < numLayers; layer++) {
      for (const row of rows) {
        if (isPerLayer(row) && (row.onlyLayers?.includes(layer) ?? true))
          plan.push(this.#resolve(row, layer));
      }
    }
    const bySlot = new Map(plan.map((weight) => [weight.slot, weight]));
    return plan.map((weight) => {
      const shared = weight.tiedTo === undefined ? undefined : bySlot.get(weight.tiedTo);
      return shared === undefined ? weight : { ...weight, dtype: shared.dtype };
    });
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
    const numStacked = isPerExpert(row) ? this.#table.numExperts! : 1;
    const names: string[] = [];
    for (let expert = 0; expert < numStacked; expert++) {
      for (const pattern of row.from) {
        names.push(pattern.replaceAll("{layer}", String(layer)).replaceAll("{expert}", String(expert)));
      }
    }
    const found = names.map((name) => this.#find(name));
    const isStored = found.some((entry) => entry !== undefined);
    const isTied = row.tiedTo !== undefined && (row.tiedTo.when === "always" || !isStored);
    const stored = isTied && !isStored ? [] : this.#verify(row, names, found);
    const parts = isTied ? [] : stored;
    return {
      slot: row.slot,
      layer,
      parts,
      // Any other dtype was recorded as a problem, and the plan is then thrown away.
      dtype: (parts[0]?.dtype ?? "f32") as PlannedWeight["dtype"],
      shape: deviceShape(row, isPerExpert(row) ? numStacked : undefined),
      transpose: row.transpose ?? false,
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

  /** Records what is missing or wrong; returns the entries that are there. */
  #verify(
    row: WeightRow,
    names: readonly string[],
    found: readonly (TensorEntry | undefined)[],
  ): TensorEntry[] {
    const parts: TensorEntry[] = [];
    found.forEach((entry, i) => {
      if (entry === undefined) {
        this.#missing.push(names[i]!);
        return;
      }
      const first = parts[0] ?? entry;
      const shape = row.shapes[i % row.shapes.length]!;
      const problem = dtypeProblem(entry, first) ?? shapeProblem(entry, shape);
      if (problem !== undefined) this.#wrong.push({ entry, problem });
      parts.push(entry);
    });
    return parts;
  }
}

function dtypeProblem(entry: TensorEntry, first: TensorEntry): string | undefined {
  const expected = entry === first ? "dtype: expected f32, f16 or bf16" : `dtype: expected ${first.dtype}`;
  const isFloat = entry.dtype === "f32" || entry.dtype === "f16" || entry.dtype === "bf16";
  if (!isFloat) return `${expected}, got ${entry.dtype}`;
  // Parts share one device tensor, and the loader copies bytes.
  return entry.dtype === first.dtype ? undefined : `${expected} as in ${first.name}, got ${entry.dtype}`;
}

function shapeProblem(entry: TensorEntry, shape: readonly number[]): string | undefined {
  const isEqual = entry.shape.length === shape.length && shape.every((size, i) => size === entry.shape[i]);
  return isEqual ? undefined : `shape: expected [${shape.join(", ")}], got [${entry.shape.join(", ")}]`;
}

function deviceShape(row: WeightRow, numExperts: number | undefined): number[] {
  const shapes = row.shapes.map((shape) => (row.transpose ? [...shape].reverse() : shape));
  const axis0 = shapes.reduce((sum, shape) => sum + shape[0]!, 0);
  const shape = [axis0, ...shapes[0]!.slice(1)];
  return numExperts === undefined ? shape : [numExperts, ...shape];
}

function summarise(kind: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > 10 ? ` and ${items.length - 10} more` : "";
  return [`${items.length} ${kind}: ${items.slice(0, 10).join(", ")}${more}`];
}

function isPerLayer(row: WeightRow): boolean {
  return row.from.some((name) => name.includes("{layer}"));
}

function isPerExpert(row: WeightRow): boolean {
  return row.from.some((name) => name.includes("{expert}"));
}

/** Mistakes of a model file, not of a checkpoint. */
function checkTable({ rows, numExperts }: WeightTable): void {
  const slots = new Set(rows.map((row) => row.slot));
  if (slots.size !== rows.length) throw new ArgumentRangeError("resolveWeights: slots are not unique");
  for (const row of rows) {
    const fail = (problem: string): ArgumentRangeError =>
      new ArgumentRangeError(`resolveWeights: slot ${row.slot}: ${problem}`);
    const { from, shapes, onlyLayers, tiedTo } = row;
    const [firstShape] = shapes;
    if (firstShape === undefined || from.length !== shapes.length) {
      throw fail(`shapes: expected one for each of the ${from.length} names, got ${shapes.length}`);
    }
    const isMixed = ["{layer}", "{expert}"].some(
      (mark) => new Set(from.map((name) => name.includes(mark))).size > 1,
    );
    if (isMixed) throw fail("{layer} and {expert} must be in all names or in none");
    if (isPerExpert(row) && !(numExperts! >= 1))
      throw fail("names contain {expert}, but numExperts is not set");
    if (onlyLayers !== undefined && !isPerLayer(row)) throw fail("onlyLayers without {layer}");
    if (row.transpose && shapes.some((shape) => shape.length !== 2)) throw fail("transpose of a non-matrix");
    const rest = (shape: readonly number[]): string =>
      (row.transpose ? shape.slice(0, 1) : shape.slice(1)).join();
    if (shapes.some((shape) => shape.length === 0 || rest(shape) !== rest(firstShape))) {
      throw fail("shapes differ beyond axis 0");
    }
    if (tiedTo !== undefined && (!slots.has(tiedTo.slot) || tiedTo.slot === row.slot || isPerLayer(row))) {
      throw fail(`tiedTo: expected another slot of the table outside the layers, got ${tiedTo.slot}`);
    }
  }
}
