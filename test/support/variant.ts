/**
 * What test/models/variants.test.ts compares with a decoder in float64: a tiny random checkpoint of a family, and what its config means.
 */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { ReferenceOptions } from "./referenceTransformer.js";

export interface Variant extends Omit<ReferenceOptions, "qkNorm" | "layout"> {
  readonly name: string;
  readonly architecture: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Stored dtype by tensor name; default f32. */
  readonly dtypeOf?: (name: string) => FloatDType;
  /** Activation dtype; default f32. */
  readonly dtype?: FloatDType;
}
