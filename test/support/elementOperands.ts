/** Operands of ops that take each element by itself, in the case tables of clamp, gelu and softcap. */
import type { Tensor } from "../../lib/device/tensor.js";
import type { OpCase, OpContext } from "./devices.js";
import { roundTo, type FloatDType } from "./dtype.js";
import { Random } from "./random.js";

export interface ElementCase extends OpCase {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  /** x and out are views into wider rows. */
  readonly strided?: boolean;
  readonly inPlace?: boolean;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
  /** x runs evenly through this range. */
  readonly range?: readonly [number, number];
}

export interface ElementOperands {
  readonly x: Float64Array;
  readonly xTensor: Tensor;
  /** Options of the op that are the same for all of them. */
  readonly options: { readonly dtype: FloatDType; readonly out?: Tensor };
}

export function elementOperands(context: OpContext, c: ElementCase): ElementOperands {
  const random = new Random(12);
  const { shape, dtype, outDtype = dtype, exponents, range } = c;
  const count = shape.reduce((product, size) => product * size, 1);
  const evenly = ([from, to]: readonly [number, number]) =>
    roundTo(
      dtype,
      Float64Array.from({ length: count }, (_, i) => from + ((to - from) * i) / count),
    );
  const x = exponents
    ? random.magnitudes(count, ...exponents, dtype)
    : range
      ? evenly(range)
      : random.normal(count, { dtype });
  const place = (as: FloatDType, data: Float64Array): Tensor =>
    c.strided
      ? context.stridedRows(as, shape, data, { before: 3, after: 5 })
      : context.tensor(as, shape, data);
  const xTensor = place(dtype, x);
  return {
    ...{ x, xTensor },
    options: {
      dtype: outDtype,
      ...(c.inPlace && { out: xTensor }),
      ...(c.strided && { out: place(outDtype, new Float64Array(count)) }),
    },
  };
}
