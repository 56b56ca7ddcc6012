/**
 * Matrices that a checkpoint stores as codes: which tensors a scheme (lib/quantization) or a block type of GGUF makes of one, what these have
 * to be, and where the bytes of each lie. What they mean is `StoredRows` of lib/ops.
 */
import type { TensorEntry } from "../checkpoint/tensorFiles.js";
import type { DType } from "../device/dtype.js";
import type { QuantizedTo } from "../ops/quantize.js";
import { type StoredFormat, storedFormats } from "../ops/storedRows.js";
import type { MatrixScheme, SchemeFormat } from "../quantization/quantization.js";
import type { StoredBytes } from "./rowView.js";

/** Codes that a load makes of a matrix of floats. */
export interface MadeCodes {
  readonly format: QuantizedTo;
  /** Inputs that share a scale; 0: all. */
  readonly group: number;
}

/** A tensor, or the share of it that one expert has. */
export interface CodedTensor extends StoredBytes {
  readonly entry: TensorEntry;
  readonly dtype: DType;
}

/** A matrix [outputs, inputs] as it is stored. */
export interface CodedMatrix {
  readonly format: StoredFormat;
  readonly outputs: number;
  readonly inputs: number;
  /** Inputs that share a scale; 0: all; undefined: the format says it. */
  readonly group: number | undefined;
  /** Outputs that share a scale. */
  readonly scaleRows: number;
  readonly addToZeros: number;
  /** Its config says that all zero points are alike. */
  readonly symmetric: boolean;
  readonly codes: CodedTensor;
  readonly scales: CodedTensor | undefined;
  readonly zeros: CodedTensor | undefined;
  readonly groupOfInput: CodedTensor | undefined;
  /** Its inputs in an order in which groups are neighbours, as `settleCodes` finds it; equal ones are one object. */
  readonly inputOrder: Int32Array | undefined;
}

/** The tensors of a coded matrix, or of those of all experts, as they were found. */
export interface FoundCodes {
  readonly scheme: MatrixScheme | undefined;
  readonly codes: TensorEntry;
  readonly scales: TensorEntry | undefined;
  readonly zeros: TensorEntry | undefined;
  readonly groupOfInput: TensorEntry | undefined;
  /** Names that no tensor has. */
  readonly missing: readonly string[];
  /** All of them, those too that are not read. */
  readonly used: readonly TensorEntry[];
}

/** What the parts of a format are. N outputs, K inputs, G groups. */
interface Layout {
  readonly dtype: DType;
  /** Shapes that codes may have. */
  codes(N: number, K: number): readonly (readonly number[])[];
  readonly scales: readonly DType[];
  /** [G, N] instead of [N, G]. */
  readonly turned?: true;
  /** Of a word of zero points, along N; 1: they are i8, one for each scale. */
  readonly zerosPerWord?: number;
  /** What N and K have to be multiples of. */
  readonly units?: readonly [N: number, K: number];
}

const floats: readonly DType[] = ["f32", "bf16", "f16"];
const words = (count: number, each: number): number => Math.ceil(count / each);

const layouts: Readonly<Record<SchemeFormat, Layout>> = {
  int8: { dtype: "i8", codes: (N, K) => [[N, K]], scales: floats, zerosPerWord: 1 },
  fp8: { dtype: "fp8e4m3", codes: (N, K) => [[N, K]], scales: floats },
  packed4: { dtype: "i32", codes: (N, K) => [[N, words(K, 8)]], scales: floats, zerosPerWord: 8 },
  packed8: { dtype: "i32", codes: (N, K) => [[N, words(K, 4)]], scales: floats, zerosPerWord: 4 },
  gptq4: {
    ...{ dtype: "i32", codes: (N, K) => [[K / 8, N]], scales: floats, turned: true, zerosPerWord: 8 },
    units: [1, 8],
  },
  gptq8: {
    ...{ dtype: "i32", codes: (N, K) => [[K / 4, N]], scales: floats, turned: true, zerosPerWord: 4 },
    units: [1, 4],
  },
  awq4: {
    ...{ dtype: "i32", codes: (N, K) => [[K, N / 8]], scales: floats, turned: true, zerosPerWord: 8 },
    units: [8, 1],
  },
  mxfp4: {
    dtype: "u8",
    codes: (N, K) => [
      [N, K / 32, 16],
      [N, K / 2],
    ],
    ...{ scales: ["u8"], units: [1, 32] },
  },
};

export function isFloat({ dtype }: TensorEntry): boolean {
  return dtype === "f32" || dtype === "f16" || dtype === "bf16";
}

/** The stored format of a GGUF tensor in blocks that run here; undefined for other tensors. */
function blockFormat({ dtype }: TensorEntry): StoredFormat | undefined {
  const name = dtype.startsWith("blocks:") ? dtype.slice("blocks:".length) : undefined;
  return storedFormats.find((format) => format === name);
}

/** Whether a row is no run of bytes, but stands across the words of all. */
export function isTurned(format: StoredFormat): boolean {
  return (layouts as Partial<Record<StoredFormat, Layout>>)[format]?.turned === true;
}

/** A bias beside codes of GPTQ: old writers made one for every matrix. */
export function isBesideCodes(tensors: ReadonlyMap<string, TensorEntry>, name: string): boolean {
  return name.endsWith(".bias") && tensors.has(name.replace(/bias$/, "qweight"));
}

/** "X.weight" -> "X.qweight"; of a name that does not end so, what stands behind it. */
export function nameOfPart(name: string, ending: string): string {
  return name.replace(/\.weight$/, "") + ending;
}

/**
 * @param name of the matrix, "X.weight"
 * @returns undefined if the checkpoint has no codes of it
 */
export function findCodes(
  tensors: ReadonlyMap<string, TensorEntry>,
  name: string,
  scheme: MatrixScheme | undefined,
): FoundCodes | undefined {
  const own = tensors.get(name);
  if (own && blockFormat(own) !== undefined) {
    const nothing = { scales: undefined, zeros: undefined, groupOfInput: undefined };
    return { scheme: undefined, codes: own, ...nothing, missing: [], used: [own] };
  }
  if (!scheme) return undefined;
  const find = (ending: string | undefined) =>
    ending === undefined ? undefined : tensors.get(nameOfPart(name, ending));
  const { tensors: names } = scheme;
  const codes = find(names.codes);
  if (!codes || isFloat(codes)) return undefined;
  const scales = names.scales.map(find).find((entry) => entry !== undefined);
  const [zeros, groupOfInput] = [find(names.zeros), find(names.groupOfInput)];
  const needed = [
    [scales, names.scales[0]],
    [zeros, scheme.needsZeros ? names.zeros : undefined],
    [groupOfInput, scheme.needsGroupOfInput ? names.groupOfInput : undefined],
  ] as const;
  const missing = needed.flatMap(([entry, ending]) =>
    entry || ending === undefined ? [] : [nameOfPart(name, ending)],
  );
  const all = [codes, scales, zeros, groupOfInput, ...names.unread.map(find)];
  return {
    ...{ scheme, codes, scales, zeros, groupOfInput, missing },
    used: all.filter((entry) => entry !== undefined),
  };
}

/** A matrix [N, K], or one for each of some experts. */
export interface MatrixSize {
  readonly outputs: number;
  readonly inputs: number;
  /** 0: no stack. */
  readonly experts: number;
}

/** What is wrong with the tensors of a matrix. */
export function codesProblems(
  { codes, scales, zeros, groupOfInput }: FoundCodes,
  scheme: MatrixScheme,
  { outputs: N, inputs: K, experts }: MatrixSize,
): { readonly entry: TensorEntry; readonly problem: string }[] {
  const {
    dtype,
    codes: shapes,
    scales: scaleDTypes,
    turned,
    zerosPerWord = 0,
    units,
  } = layouts[scheme.format];
  const [rowUnit, inputUnit] = units ?? [1, 1];
  if (N % rowUnit !== 0 || K % inputUnit !== 0) {
    const problem = `${scheme.saidBy}: expected outputs and inputs that are multiples of ${rowUnit} and ${inputUnit}, got [${N}, ${K}]`;
    return [{ entry: codes, problem }];
  }
  const G = scheme.group === 0 ? 1 : words(K, scheme.group);
  const rows = words(N, scheme.scaleRows || N);
  const pairOf = (of: number): number[] => (turned ? [G, of] : [of, G]);
  const zeroRows = zerosPerWord === 1 ? rows : words(N, zerosPerWord);
  return [
    ...problemsOf(codes, [dtype], shapes(N, K), experts),
    ...(scales ? problemsOf(scales, scaleDTypes, [pairOf(rows)], experts) : []),
    ...(zeros ? problemsOf(zeros, [zerosPerWord === 1 ? "i8" : "i32"], [pairOf(zeroRows)], experts) : []),
    ...(groupOfInput ? problemsOf(groupOfInput, ["i32"], [[K]], experts) : []),
  ];
}

/** An axis of one is as good as none: [N, 1] and [N], [1] and []. */
function problemsOf(
  entry: TensorEntry,
  dtypes: readonly string[],
  shapes: readonly (readonly number[])[],
  experts: number,
): { readonly entry: TensorEntry; readonly problem: string }[] {
  if (!dtypes.includes(entry.dtype)) {
    const got = entry.dtype.replace(/^unsupported:/, "");
    return [{ entry, problem: `dtype: expected ${dtypes.join(", ")}, got ${got}` }];
  }
  const whole = shapes.map((shape) => (experts > 0 ? [experts, ...shape] : shape));
  const squeezed = (shape: readonly number[]) => shape.filter((size) => size !== 1).join();
  if (whole.some((shape) => squeezed(shape) === squeezed(entry.shape))) return [];
  const expected = whole.map((shape) => `[${shape.join(", ")}]`).join(" or ");
  return [{ entry, problem: `shape: expected ${expected}, got [${entry.shape.join(", ")}]` }];
}

/** @param expert whose share of a stack */
export function codedMatrix(found: FoundCodes, size: MatrixSize, expert: number): CodedMatrix {
  const { scheme } = found;
  const { outputs, inputs, experts } = size;
  const part = (entry: TensorEntry | undefined): CodedTensor | undefined => {
    if (!entry) return undefined;
    const bytes = entry.byteLength / (experts || 1);
    const shape = experts > 0 ? entry.shape.slice(1) : entry.shape;
    const dtype = entry.dtype.startsWith("blocks:") ? "u8" : (entry.dtype as DType);
    return { entry, start: experts > 0 ? expert * bytes : 0, bytes, shape, dtype };
  };
  return {
    ...{ outputs, inputs },
    format: scheme?.format ?? blockFormat(found.codes)!,
    group: scheme?.group,
    scaleRows: scheme?.scaleRows === 0 ? outputs : (scheme?.scaleRows ?? 1),
    addToZeros: scheme?.addToZeros ?? 0,
    symmetric: scheme?.symmetric ?? false,
    codes: part(found.codes)!,
    scales: part(found.scales),
    zeros: part(found.zeros),
    groupOfInput: part(found.groupOfInput),
    inputOrder: undefined,
  };
}
