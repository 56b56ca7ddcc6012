/** Logits that look like those of a model: normal, a few tokens far above the rest. The same in every run. */
import type { FloatDType } from "../../lib/device/dtype.js";
import { cast } from "../../lib/ops/cast.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { RandomValues } from "./randomValues.js";

const std = 3;

/** [rows, columns] */
export function normalLogits(stream: Stream, dtype: FloatDType, rows: number, columns: number): Tensor {
  const bytes = new Uint8Array(rows * columns * 4);
  let at = 0;
  for (const chunk of new RandomValues(1).chunks(
    { name: "logits", shape: [rows, columns], mean: 0, std },
    "f32",
  )) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  const tensor = stream.fromArray("f32", [rows, columns], new Float32Array(bytes.buffer));
  return dtype === "f32" ? tensor : cast(stream, tensor, dtype);
}
