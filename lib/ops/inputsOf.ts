/**
 * What products read of x: as it is, or with its columns in the order of a weight's inputs (`WeightSegment.inputOrder`).
 */
import type { Tensor } from "../device/tensor.js";
import type { WeightSegment } from "./linearWeight.js";

/**
 * @param gather the columns of x in an order
 * @returns the x of a segment, gathered once for neighbours that have one order
 */
export function inputsOf(x: Tensor, gather: (inputOrder: Tensor) => Tensor): (of: WeightSegment) => Tensor {
  let [last, gathered]: (Tensor | undefined)[] = [];
  return ({ inputOrder }) => {
    if (!inputOrder) return x;
    if (inputOrder !== last) gathered = gather(inputOrder);
    last = inputOrder;
    return gathered!;
  };
}
