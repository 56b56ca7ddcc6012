/** What tables of attention ops share: the kernels that their cases run on, and how far results may lie from the reference. */
import type { Tensor } from "../../lib/device/tensor.js";
import { type CloseOptions, expectClose } from "./compare.js";
import { onKernel, type OpCase, type OpContext } from "./devices.js";
import type { FloatDType } from "./dtype.js";

interface KernelCase extends OpCase {
  readonly dtype: FloatDType;
  /** Of keys and values; left out: dtype. */
  readonly pages?: string | undefined;
}

type AttentionSizes = Required<Pick<CloseOptions, "dtype" | "shape" | "reduction">>;

/** The cases as they are, in bf16 without tensor cores, and, where it takes them, on the portable kernels with tensor cores. */
export function onPortableKernels<Case extends KernelCase>(op: string, cases: readonly Case[]): Case[] {
  const any = cases.filter(({ dtype }) => dtype === "bf16");
  const tiles = cases.filter(({ dtype, pages }) => dtype !== "f32" && !(pages && dtype === "f16"));
  return [...cases, ...onKernel(op, "any", any), ...onKernel(op, "tiles", tiles)];
}

/** Where probabilities are rounded to the dtype of queries depends on the device, and on whether keys and values have it, too. */
export function attentionTolerance(
  { deviceName }: OpContext,
  {
    dtype,
    keys = dtype,
    ...rest
  }: AttentionSizes & {
    /** Dtype of keys and values. Default: dtype. */
    readonly keys?: string | undefined;
  },
): AttentionSizes & Pick<CloseOptions, "intermediate"> {
  const isRounded = keys === dtype && (dtype === "bf16" || deviceName !== "cpu");
  return { dtype, intermediate: isRounded ? dtype : "f32", ...rest };
}

/** Holds a result and its `lse` against the reference. */
export async function expectAttention(
  context: OpContext,
  tolerance: ReturnType<typeof attentionTolerance>,
  [out, lse]: readonly [Tensor, Tensor],
  expected: { readonly out: Float64Array; readonly lse: Float64Array },
): Promise<void> {
  expectClose(await context.read(out), expected.out, tolerance);
  const { reduction } = tolerance;
  expectClose(await context.read(lse), expected.lse, {
    dtype: "f32",
    shape: lse.shape,
    reduction,
    label: "lse",
  });
}
