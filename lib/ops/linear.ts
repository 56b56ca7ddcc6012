import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { floatDType, linearWeight, tensor } from "./argumentKinds.js";
import { gatherInputs } from "./gatherInputs.js";
import { inputsOf } from "./inputsOf.js";
import { op, optionsOf } from "./op.js";
import type { LinearWeight } from "./packLinear.js";
import { swigluNumbers } from "./swigluNumbers.js";

export interface LinearOptions {
  /** [N], f32; of a weight with `swiglu` those of gate, then those of up. */
  readonly bias?: Tensor | undefined;
  /** [T, N], f32 | bf16 | f16, added to the result. Not with a weight of gate and up. */
  readonly residual?: Tensor | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result; may be `residual`. */
  readonly out?: Tensor | undefined;
}

/**
 * A linear layer.
 *
 *     out = x W^T + bias + residual
 *     out = silu(gate) * up, of the halves of x W^T + bias    for a weight with `swiglu`
 *
 * Gate and up are rounded to the dtype of x before silu, as by a `linear` and a `siluMul` behind it.
 *
 * Sums are f32. On the CPU they run through K in order, so the result of a row does not depend on the other rows of the call; on
 * a GPU their order, and with it the last bits, depends on the number of rows, but never on the run.
 *
 * @param x [T, K], f32 or the weight's dtype, with codes f32 | bf16 | f16; the last axis is contiguous
 * @param weight from `packLinear`, or filled by `packStored`, [N, K]
 * @returns [T, N], with swiglu [T, N / 2]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/linear
 */
export const linear = op(
  "linear",
  { x: tensor, weight: linearWeight },
  optionsOf<LinearOptions>({ bias: tensor, residual: tensor, dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, weight: LinearWeight, options: LinearOptions = {}): Tensor => {
    const { bias = null, residual = null } = options;
    if (weight.segments.length > 1 || weight.isReordered) checkSizes(x, weight, options);
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, [x.size(0), weight.columns]);
    using _gathered = weight.isReordered ? stream.scope() : undefined;
    const read = inputsOf(x, (inputOrder) => gatherInputs(stream, x, inputOrder));
    const multiply = (products: Tensor): void => {
      for (let i = 0; i < weight.segments.length; i++) {
        const segment = weight.segments[i]!;
        const columns = weight.ofSegment(i, products, 1);
        const [someBias, someResidual] = [weight.ofSegment(i, bias, 0), weight.ofSegment(i, residual, 1)];
        stream.run(native.ops.linear, read(segment), segment, someBias, someResidual, columns);
      }
    };
    if (!weight.swiglu || weight.isFused) {
      multiply(out);
    } else {
      using _gateUp = stream.scope();
      const gateUp = stream.empty(x.dtype, [x.size(0), weight.outputs]);
      multiply(gateUp);
      stream.run(native.ops.siluMul, gateUp, out, ...swigluNumbers(undefined));
    }
    return out;
  },
);

/**
 * The addon checks a call for each segment, and its errors would be about that segment. Here sizes are checked against the whole
 * weight, as a caller knows it.
 */
function checkSizes(x: Tensor, weight: LinearWeight, options: LinearOptions): void {
  const { inputs, outputs, swiglu, columns } = weight;
  const { out, bias, residual } = options;
  const K = { name: "K", size: inputs, from: "weight axis 1" };
  const N = { name: "N", size: outputs, from: "weight axis 0" };
  const T = { name: "T", size: x.shape[0], from: "x axis 0" };
  checkShape("x", x, [{ name: "T" }, K]);
  checkShape("out", out, [T, swiglu ? { name: "F", size: columns, from: "weight axis 0" } : N]);
  checkShape("bias", bias, [N]);
  if (swiglu && residual)
    throw new ArgumentRangeError(
      "linear: residual: expected none with a weight of gate and up, got a tensor",
    );
  checkShape("residual", residual, [T, N]);
}

interface Axis {
  readonly name: string;
  /** Undefined: any. */
  readonly size?: number | undefined;
  readonly from?: string;
}

/** The words are those of native/core/check.cc. */
function checkShape(argument: string, tensor: Tensor | undefined, axes: readonly Axis[]): void {
  if (!tensor) return;
  const fits = ({ size }: Axis, i: number): boolean => size === undefined || size === tensor.shape[i];
  if (tensor.rank === axes.length && axes.every(fits)) return;
  const sizes = axes.map(({ name, size }) => (size === undefined ? name : `${name}=${size}`)).join(", ");
  const known = axes.filter(({ from }) => from !== undefined);
  const origins = known.map(({ name, from }) => `${name} from ${from}`).join("; ");
  const got = `[${tensor.shape.join(", ")}]`;
  throw new ArgumentRangeError(`linear: ${argument}: expected [${sizes}] (${origins}), got ${got}`);
}
