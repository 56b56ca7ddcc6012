/**
 * What an argument of an op may be. Dtypes, shapes and ranges are the business of native/ops/<op>/<op>.check.cc: here a number has
 * to be one, and one that can cross the boundary.
 */
import { describe, isInstance } from "../arguments.js";
import type { FloatDType, KvDType } from "../device/dtype.js";
import { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { ArgumentRangeError, ArgumentTypeError, ClosedError } from "../errors.js";
import { GroupedWeight, LinearWeight } from "./linearWeight.js";
import { StoredRows } from "./storedRows.js";

/** The (token, choice) pairs of a batch, grouped by expert; within an expert in order of t*K + k. */
export interface MoePermutation {
  /** [T*K], i32: flat index t*K + k of the pair at each permuted row */
  readonly order: Tensor;
  /** [T, K], i32: permuted row of each pair */
  readonly inverse: Tensor;
  /** [E+1], i32: expert e owns the rows [offsets[e], offsets[e+1]) */
  readonly offsets: Tensor;
}

/** Where each token goes: its K experts, best first, and their weights. */
export interface MoeRouting {
  /** [T, K], f32 */
  readonly weights: Tensor;
  /** [T, K], i32 */
  readonly experts: Tensor;
}

/** SwiGLU as gpt-oss has it, with the gate clamped from above, up on both sides, and 1 added to up. */
export interface SwigluClamp {
  /** Positive. */
  readonly limit: number;
  /** What the gate is multiplied by in its sigmoid; positive. */
  readonly alpha: number;
}

type Form =
  | "tensor"
  | "nullable"
  | "tensors"
  | "table"
  | "number"
  | "integer"
  | "flag"
  | "choice"
  | "linear"
  | "grouped"
  | "weight"
  | "stored"
  | "clamp"
  | "routing"
  | "permutation";

/** One kind of argument; `T` is its type for TypeScript. */
export interface Kind<T = unknown> {
  readonly form: Form;
  /** As an error message says it. */
  readonly expected: string;
  readonly choices: readonly unknown[];
  /** Of a whole number. */
  readonly min: number;
  readonly max: number;
  /** An option that has no default. */
  readonly isRequired: boolean;
  /** Carries T; no kind has it. */
  readonly of?: T;
}

export interface RequiredKind<T = unknown> extends Kind<T> {
  readonly isRequired: true;
}

const largest = 2 ** 31 - 1; // native/bind/arguments.h
/** The most elements that an axis of a tensor can have: kMaxAxis of native/core/check.h. */
export const largestAxis = 2 ** 31 - 2 ** 20;

// All kinds are made here, with the same properties in the same order: `accepts` is in the way of every op call.
function kind<T>(form: Form, expected: string, choices: readonly T[] = [], min = 0, max = 0): Kind<T> {
  return { form, expected, choices, min, max, isRequired: false };
}

export const tensor = kind<Tensor>("tensor", "a Tensor");
export const tensorOrNull = kind<Tensor | null>("nullable", "a Tensor or null");
export const tensorOrTensors = kind<Tensor | Readonly<Record<string, Tensor>>>(
  "tensors",
  "a Tensor, or an object of them by name",
);
export const tensorOrWeight = kind<Tensor | LinearWeight>("table", "a Tensor, or a weight from packLinear");
export const number = kind<number>("number", "a number");
export const flag = kind<boolean>("flag", "true or false");
/** For what another op can be asked to leave out and this one always does. */
export const always = kind<true>("choice", "true, which it always is", [true]);
export const linearWeight = kind<LinearWeight>("linear", "a weight from packLinear");
export const groupedWeight = kind<GroupedWeight>("grouped", "a weight from emptyGroupedWeight");
export const anyWeight = kind<LinearWeight>("weight", "a packed weight");
export const storedRows = kind<StoredRows>("stored", "a StoredRows");
export const permutation = kind<MoePermutation>(
  "permutation",
  "an object of three Tensors, order, inverse and offsets",
);
export const routing = kind<MoeRouting>("routing", "an object of two Tensors, weights and experts");
export const swigluClamp = kind<SwigluClamp>("clamp", "an object of two numbers, limit and alpha");
export const floatDType = choice<FloatDType>("f32", "f16", "bf16");
export const kvDType = choice<KvDType>("f32", "f16", "bf16", "i8", "fp8e4m3");

/** `max` where a result of that size would be allocated before the addon sees it. */
export function integer({ min = 0, max = largest } = {}): Kind<number> {
  return kind<number>("integer", `a whole number from ${min} to ${max}`, [], min, max);
}

export function choice<T extends string>(...choices: readonly T[]): Kind<T> {
  return kind<T>("choice", choices.map((name) => `"${name}"`).join(" or "), choices);
}

/** The same kind for an option that has no default. */
export function required<T>(of: Kind<T>): RequiredKind<T> {
  return { ...of, isRequired: true };
}

/** Whether `value` is of a kind. Code of the caller (a getter) that throws here goes on. */
export function accepts(of: Kind, value: unknown): boolean {
  switch (of.form) {
    case "tensor":
      return Tensor.isOpen(value);
    case "nullable":
      return value === null || Tensor.isOpen(value);
    case "tensors":
      return Tensor.isOpen(value) || isRecordOfTensors(value);
    case "table":
      return Tensor.isOpen(value) || isMatrix(value);
    case "number":
      return typeof value === "number";
    case "integer":
      return Number.isInteger(value) && (value as number) >= of.min && (value as number) <= of.max;
    case "flag":
      return typeof value === "boolean";
    case "choice":
      return of.choices.includes(value);
    case "linear":
      return isMatrix(value);
    case "grouped":
      return LinearWeight.isOpen(value) && GroupedWeight.isGrouped(value);
    case "weight":
      return LinearWeight.isOpen(value);
    case "stored":
      return StoredRows.isOpen(value);
    case "clamp":
      return isObject(value) && typeof value["limit"] === "number" && typeof value["alpha"] === "number";
    case "routing":
    case "permutation":
      return isObject(value) && parts[of.form].every((name) => Tensor.isOpen(value[name]));
  }
}

/** The tensors of an object of them. */
const parts = { routing: ["weights", "experts"], permutation: ["order", "inverse", "offsets"] } as const;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isMatrix(value: unknown): value is LinearWeight {
  return LinearWeight.isOpen(value) && !GroupedWeight.isGrouped(value);
}

function isRecordOfTensors(value: unknown): boolean {
  if (!isObject(value) || isArray(value)) return false;
  const tensors = Object.values(value);
  return tensors.length > 0 && tensors.every((each) => Tensor.isOpen(each));
}

/** The error for a value that is not of its kind. `what` names op and argument. */
export function wrongArgument(what: string, of: Kind, value: unknown): Error {
  if ((of.form === "routing" || of.form === "permutation") && isObject(value)) {
    const wrong = parts[of.form].find((name) => !Tensor.isOpen(value[name]));
    if (wrong && wrong in value) return wrongArgument(`${what}.${wrong}`, tensor, value[wrong]);
  }
  if (Tensor.is(value) && value.memory.disposed && /tensor|nullable|table/.test(of.form))
    return new ClosedError("", `${what}: this Tensor is closed`);
  if (LinearWeight.is(value) && !LinearWeight.isOpen(value) && /linear|grouped|weight|table/.test(of.form))
    return new ClosedError("", `${what}: this weight is closed`);
  if (StoredRows.is(value) && of.form === "stored")
    return new ClosedError("", `${what}: the memory of these rows is closed`);
  const ofRightType =
    (of.form === "integer" && typeof value === "number") ||
    (of.form === "choice" && typeof value === "string");
  const message = `${what}: expected ${of.expected}${hint(of, value)}, got ${nameOf(value)}`;
  return ofRightType ? new ArgumentRangeError(message) : new ArgumentTypeError(message);
}

function hint(of: Kind, value: unknown): string {
  const wantsTensor = /tensor|nullable|table/.test(of.form);
  return wantsTensor && (isArray(value) || ArrayBuffer.isView(value)) ? " (stream.fromArray makes one)" : "";
}

/** `Array.isArray` that also has an answer for a revoked Proxy. */
function isArray(value: unknown): boolean {
  return isInstance<readonly unknown[]>(value, Array);
}

function nameOf(value: unknown): string {
  if (Tensor.is(value)) return "a Tensor";
  if (Stream.is(value)) return "a Stream";
  if (LinearWeight.is(value)) return "a packed weight";
  if (StoredRows.is(value)) return "a StoredRows";
  return describe(value);
}
