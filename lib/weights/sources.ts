/**
 * The tensors that the rows of a table name, as a checkpoint has them: under one of several prefixes, as floats or as codes. What no row has
 * asked for is unexpected.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import { type Quantization, scalesOfActivations } from "../quantization/quantization.js";
import {
  type CodedMatrix,
  codedMatrix,
  codesProblems,
  findCodes,
  type FoundCodes,
  isBesideCodes,
  isFloat,
  type MatrixSize,
  nameOfPart,
} from "./codedMatrix.js";
import { storedColumns, storedRows, type WeightRow, type WeightTable } from "./weightTable.js";

/** A tensor that a weight is made of. */
export interface Source {
  /** As the row has it, or as the checkpoint names what is missing. */
  readonly name: string;
  /** Its index in `from`. */
  readonly place: number;
  readonly expert: number;
  /** Of floats, or the codes; undefined: not in the checkpoint. */
  readonly entry: TensorEntry | undefined;
  readonly codes: FoundCodes | undefined;
}

/** Something that does not fit. */
export interface Problem {
  readonly entry: TensorEntry;
  readonly problem: string;
}

/** Buffers that old exports contain and that no model needs: they can be computed from the config. */
const harmlessBuffers: readonly RegExp[] = [
  /(^|\.)rotary_emb\.inv_freq$/,
  // Causal masks of GPT-2. A parameter of that name would be declared, and then it is not looked up here.
  /(^|\.)attn\.(bias|masked_bias)$/,
];

export class Sources {
  readonly #table: WeightTable;
  readonly #tensors: Checkpoint["tensors"];
  readonly #quantization: Quantization | undefined;
  readonly #used = new Set<string>();

  constructor(table: WeightTable, { tensors }: Pick<Checkpoint, "tensors">, quantization?: Quantization) {
    this.#table = table;
    this.#tensors = tensors;
    this.#quantization = quantization;
  }

  /** @param name that `from` has at `place`, of a layer and an expert */
  find(row: WeightRow, name: string, place: number, expert: number): Source {
    const alternatives = (this.#table.prefixAlternatives ?? [])
      .filter(({ from }) => name.startsWith(from))
      .map(({ from, to }) => to + name.slice(from.length));
    const isMatrix = row.shapes[place]!.length === 2;
    let missing = name;
    for (const candidate of [name, ...alternatives]) {
      const scheme = isMatrix ? this.#schemeOf(name, candidate) : undefined;
      const codes = isMatrix ? findCodes(this.#tensors, candidate, scheme) : undefined;
      const entry = codes?.codes ?? this.#tensors.get(candidate);
      if (entry) {
        for (const used of codes?.used ?? [entry]) this.#used.add(used.name);
        return { name, place, expert, entry, codes };
      }
      const inCodes = scheme && nameOfPart(name, scheme.tensors.codes);
      if (inCodes !== undefined && inCodes !== name) missing = `${name} or ${inCodes}`;
    }
    return { name: missing, place, expert, entry: undefined, codes: undefined };
  }

  #schemeOf(name: string, candidate: string): ReturnType<Quantization["schemeOf"]> {
    const [own, found] = [name, candidate].map((of) => this.#quantization?.schemeOf(nameOfPart(of, "")));
    return own && found;
  }

  /** What is missing of a source, by name. */
  missingOf({ name, entry, codes }: Source): readonly string[] {
    return entry ? (codes?.missing ?? []) : [name];
  }

  /** @param first the same part of the first expert: a stack of experts has one format */
  problemsOf(
    row: WeightRow,
    { entry, codes, place }: Source & { entry: TensorEntry },
    first: Source,
  ): Problem[] {
    const problem = codes ? undefined : this.#dtypeProblem(entry);
    if (problem !== undefined) return [{ entry, problem }];
    const other = first.entry;
    if (other && other.dtype !== entry.dtype)
      return [{ entry, problem: `dtype: expected ${other.dtype} as in ${other.name}, got ${entry.dtype}` }];
    if (codes) {
      if (!isAlike(codes, first.codes)) return [{ entry, problem: `expected the scheme of ${other?.name}` }];
      if (codes.scheme) return codesProblems(codes, codes.scheme, this.#sizeOf(row, place));
    }
    const wrong = this.#shapeProblem(row, place, entry);
    return wrong === undefined ? [] : [{ entry, problem: wrong }];
  }

  #dtypeProblem(entry: TensorEntry): string | undefined {
    if (isFloat(entry)) return undefined;
    const got = entry.dtype.replace(/^(unsupported|blocks):/, "");
    const field = this.#quantization?.leftOutBy(nameOfPart(entry.name, ""));
    const why = field === undefined ? "" : ` (${field} leaves it as it was)`;
    return `dtype: expected f32, f16 or bf16, got ${got}${why}`;
  }

  #shapeProblem(row: WeightRow, place: number, entry: TensorEntry): string | undefined {
    const own = row.fileShapes?.[place];
    const shape = [...(row.stacked ? [this.#table.numExperts!] : []), ...(own ?? row.shapes[place]!)];
    // GGUF leaves outer axes of one out, or does not.
    const shown = (sizes: readonly number[]) => (own ? sizes.join().replace(/^(1,)+/, "") : sizes.join());
    const isEqual = shown(entry.shape) === shown(shape);
    const said = row.sizeFields ? ` (${row.sizeFields.join(", ")})` : "";
    return isEqual
      ? undefined
      : `shape: expected [${shape.join(", ")}]${said}, got [${entry.shape.join(", ")}]`;
  }

  /** Of a matrix in codes, which no format stores transposed. */
  #sizeOf(row: WeightRow, place: number): MatrixSize {
    const experts = row.stacked ? this.#table.numExperts! : 0;
    return { outputs: storedRows(row, place), inputs: storedColumns(row), experts };
  }

  codedMatrix(row: WeightRow, { place, expert, codes }: Source): CodedMatrix | undefined {
    return codes && codedMatrix(codes, this.#sizeOf(row, place), expert);
  }

  /** Tensors that nobody has asked for. */
  unexpected(): TensorEntry[] {
    const ignored = [
      ...harmlessBuffers,
      ...(this.#table.ignored ?? []),
      ...(this.#quantization ? scalesOfActivations : []),
    ];
    const isKnown = (name: string) =>
      this.#used.has(name) ||
      ignored.some((pattern) => pattern.test(name)) ||
      (this.#quantization !== undefined && isBesideCodes(this.#tensors, name)); // looked at by settleCodes.ts
    return [...this.#tensors.values()].filter(({ name }) => !isKnown(name));
  }
}

/** What is stacked lies in one format. */
function isAlike({ scheme }: FoundCodes, first: FoundCodes | undefined): boolean {
  const [one, other] = [scheme, first?.scheme].map((of) => of && [of.format, of.group, of.scaleRows].join());
  return one === other;
}
