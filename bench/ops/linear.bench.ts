/**
 * linear at the shapes of a 0.6 B parameter model: decode (T = 1, 4) streams weights, a prompt (T = 512) multiplies. Gate and up:
 * in one op, and as a product and siluMul.
 */
import { linear } from "../../lib/ops/linear.js";
import { packLinear, type QuantizedFormat } from "../../lib/ops/packLinear.js";
import { siluMul } from "../../lib/ops/siluMul.js";
import { codedKinds, filledCodes } from "../support/codedKinds.js";
import { filled } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

const shapes = [
  [1024, 4096],
  [2048, 1024],
  [1024, 6144],
  [3072, 1024],
  [1024, 32000],
] as const;

function testCase(T: number, K: number, N: number, dtype: "bf16" | "f32"): OpBenchCase {
  const size = dtype === "bf16" ? 2 : 4;
  return {
    shape: `T=${T} K=${K} N=${N}`,
    dtype,
    bytes: size * (T * K + N * K + T * N),
    flops: 2 * T * N * K,
    setup(stream) {
      const weight = packLinear(stream, filled(stream, dtype, [N, K]));
      const x = filled(stream, dtype, [T, K]);
      return () => linear(stream, x, weight);
    },
  };
}

function gateUp(T: number, isFused: boolean): OpBenchCase {
  const [K, F] = [1024, 3072];
  return {
    shape: `T=${T} K=${K} F=${F} ${isFused ? "gated" : "+ siluMul"}`,
    dtype: "bf16",
    bytes: 2 * (T * K + 2 * F * K + T * F),
    flops: 4 * T * F * K,
    setup(stream) {
      const weight = packLinear(stream, filled(stream, "bf16", [2 * F, K]), { swiglu: isFused });
      const x = filled(stream, "bf16", [T, K]);
      return () => {
        const out = linear(stream, x, weight);
        if (!isFused) siluMul(stream, out);
      };
    },
  };
}

function ofCodes(
  T: number,
  [K, N]: readonly [number, number],
  [name, format, bits]: (typeof codedKinds)[number],
  activation: QuantizedFormat["activation"],
): OpBenchCase {
  return {
    shape: `T=${T} K=${K} N=${N}`,
    dtype: activation === "float" ? name : `${name} x int8`,
    bytes: 2 * (T * K + T * N) + (N * K * bits) / 8,
    flops: 2 * T * N * K,
    setup(stream) {
      const weight = filledCodes(stream, { ...format, activation }, N, K);
      const x = filled(stream, "bf16", [T, K]);
      return () => linear(stream, x, weight);
    },
  };
}

const gated = [1, 4, 16, 512].flatMap((T) => [gateUp(T, true), gateUp(T, false)]);
const cases = [1, 4, 16, 512].flatMap((T) => shapes.map(([K, N]) => testCase(T, K, N, "bf16")));
await benchOp("linear", [
  ...cases,
  ...gated,
  testCase(1, 1024, 6144, "f32"),
  testCase(512, 1024, 6144, "f32"),
  ...[1, 4, 16, 512].flatMap((T) => [
    testCase(T, 2048, 8192, "bf16"),
    ...codedKinds.map((kind) => ofCodes(T, [2048, 8192], kind, "float")),
    ...codedKinds.slice(0, -1).map((kind) => ofCodes(T, [2048, 8192], kind, "int8")), // not fp8, the last
  ]),
]);
