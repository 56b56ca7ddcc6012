/** How a gate and its up become one number, as the addon takes it (native/core/swiglu.h). */
import type { SwigluClamp } from "./argumentKinds.js";

/** The last arguments of `siluMul` and `groupedLinear`. */
export function swigluNumbers(
  clamp: SwigluClamp | undefined,
): [clamped: boolean, limit: number, alpha: number] {
  return clamp ? [true, clamp.limit, clamp.alpha] : [false, 0, 0];
}
