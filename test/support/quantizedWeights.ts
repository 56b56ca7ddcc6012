/** Weights of codes for tests. */
import type { Device } from "../../lib/device/device.js";
import { emptySegments, GroupedWeight, LinearWeight } from "../../lib/ops/linearWeight.js";
import type { DenseFormat, QuantizedFormat, WeightFormat } from "../../lib/ops/packLinear.js";
import type { StoredFormat } from "../../lib/ops/storedRows.js";
import { quantizedFormatOf } from "../../lib/ops/weightFormat.js";
import type { RandomStored } from "./storedRows.js";

/** What is not said: one scale of f32 for each row. */
type Some = DenseFormat | (Partial<QuantizedFormat> & Pick<QuantizedFormat, "format">);
const complete = (of: Some): WeightFormat =>
  of.format === "dense" ? of : { dtype: "u8", group: 0, scale: "f32", offset: "none", ...of };

/** Room for a matrix [N, K]. */
export function quantizedWeight(
  device: Device,
  format: Some,
  N: number,
  K: number,
  swiglu = false,
): LinearWeight {
  const shape = { experts: 1, inputs: K, swiglu };
  return new LinearWeight(
    shape,
    emptySegments(device, shape, [{ name: "weight", outputs: N, format: complete(format) }]),
  );
}

/** Room for E such matrices. */
export function quantizedGroup(
  device: Device,
  format: Some,
  {
    E,
    N,
    K,
    swiglu = false,
  }: { readonly E: number; readonly N: number; readonly K: number; readonly swiglu?: boolean },
): GroupedWeight {
  const shape = { experts: E, inputs: K, swiglu };
  return new GroupedWeight(
    shape,
    emptySegments(device, shape, [{ name: "weight", outputs: N, format: complete(format) }]),
  );
}

/** The format that keeps a stored matrix as it is. */
export function formatOf(m: RandomStored): QuantizedFormat {
  return quantizedFormatOf(m.format as StoredFormat, {
    group: m.group >= m.K ? 0 : m.group,
    scale: m.scaleDType === "u8" ? "f32" : m.scaleDType,
    zeros: m.zeros !== undefined,
  });
}
