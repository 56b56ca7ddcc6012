/** Weights of codes for benches of products: the kinds that files have, filled with any numbers. */
import type { Stream } from "../../lib/device/stream.js";
import type { LinearWeight } from "../../lib/ops/linearWeight.js";
import type { QuantizedFormat } from "../../lib/ops/weightFormat.js";
import { quantizedWeight } from "../../test/support/quantizedWeights.js";

export type CodedFormat = Partial<QuantizedFormat> & Pick<QuantizedFormat, "format">;

/** How they are kept, and bits of a weight with its scales. The last has no products with bytes. */
export const codedKinds: readonly (readonly [name: string, format: CodedFormat, bits: number])[] = [
  ["int8", { format: "int8", scale: "bf16" }, 8],
  ["int8 in 128", { format: "int8", group: 128, scale: "bf16" }, 8.125],
  ["q8_0", { format: "int8", group: 32, scale: "f16" }, 8.5],
  ["int4 in 128", { format: "int4", group: 128, scale: "bf16" }, 4.125],
  ["q4_0", { format: "int4", group: 32, scale: "f16" }, 4.5],
  ["q4_k", { format: "int4", group: 32, scale: "f16u8", offset: "f16u8" }, 4.625],
  ["q6_k", { format: "int8", group: 16, scale: "f16s8" }, 8.5625],
  ["mxfp4", { format: "fp4", group: 32, scale: "e8m0" }, 4.25],
  ["fp8", { format: "fp8", scale: "bf16" }, 8],
];

/** A weight [N, K] of finite numbers, whatever they are. */
export function filledCodes(stream: Stream, format: CodedFormat, N: number, K: number): LinearWeight {
  const weight = quantizedWeight(stream.device, format, N, K);
  const { data } = weight.segments[0]!;
  data.write(stream, new Uint8Array(data.numel).fill(0x31));
  return weight;
}
