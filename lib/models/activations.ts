/**
 * Activation functions by the names that configs have for them; several names mean the same function.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import type { Activation } from "../nn/mlp.js";
import type { GeluApproximation } from "../ops/gelu.js";

const silu = ["silu", "swish"] as const;

const gelus = {
  gelu: "none",
  gelu_python: "none",
  gelu_new: "tanh",
  gelu_fast: "tanh",
  gelu_accurate: "tanh",
  gelu_pytorch_tanh: "tanh",
} as const satisfies Readonly<Record<string, GeluApproximation>>;

const geluNames = Object.keys(gelus) as (keyof typeof gelus)[];

/** The activation of a gated MLP. @param fallback the name that the class of the config has */
export function readActivation(
  reader: ConfigReader,
  field = "hidden_act",
  fallback: "silu" | keyof typeof gelus = "silu",
): Activation {
  const name = reader.oneOf(field, [...silu, ...geluNames], fallback);
  return name === "silu" || name === "swish" ? "silu" : { gelu: gelus[name] };
}

/** `hidden_act` of models with experts, whose gate is fused with silu: there is no other. */
export function readSilu(reader: ConfigReader): void {
  reader.oneOf("hidden_act", silu, "silu");
}

/** The gelu of a plain MLP. @param fallback the name that the class of the config has */
export function readGelu(
  reader: ConfigReader,
  field: string,
  fallback: keyof typeof gelus,
): GeluApproximation {
  return gelus[reader.oneOf(field, geluNames, fallback)];
}
