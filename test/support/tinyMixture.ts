/**
 * The mixtures of experts of the families, as their configs say and their checkpoints spell them: for tiny checkpoints and for the
 * reference that computes their logits. Written here anew on purpose: it checks lib/models.
 */
import { type GatedMlpWeights, type Matrix, moe } from "../reference/blocks.js";
import type { TinyConfig } from "./tinyCheckpoint.js";

export interface TinyMixture {
  /** E */
  readonly count: number;
  /** F */
  readonly width: number;
  readonly isSparse: (layer: number) => boolean;
  readonly choice: Parameters<typeof moe>[2];
  /** Names below the layer, of matrices without ".weight". */
  readonly router: string;
  /** Expert e is `${experts}.${e}`. */
  readonly experts: string;
  /**
   * In their place: of all experts in one tensor, [out, in] with gate above up; in turns: [in, out] with gate and up in
   * turns, and biases.
   */
  readonly stacked?: { readonly gateUp: string; readonly down: string; readonly inTurns?: true };
  readonly routerBias?: string;
  readonly correctionBias?: string;
  readonly shared?: { readonly name: string; readonly width: number; readonly gate?: string };
}

const always = () => true;

const families: Readonly<Record<string, (config: TinyConfig) => TinyMixture>> = {
  Qwen3MoeForCausalLM: qwen,
  Qwen2MoeForCausalLM: (config) => ({
    ...qwen(config),
    shared: {
      ...{ name: "mlp.shared_expert", width: config["shared_expert_intermediate_size"] as number },
      gate: "mlp.shared_expert_gate",
    },
  }),
  OlmoeForCausalLM: (config) => ({
    ...qwen(config),
    ...{ width: config.intermediate_size, isSparse: always },
  }),
  GraniteMoeForCausalLM: (config) => ({
    ...{ count: config["num_local_experts"] as number, width: config.intermediate_size, isSparse: always },
    choice: { K: config["num_experts_per_tok"] as number, scores: "softmax", renormalize: true },
    ...{ router: "block_sparse_moe.router.layer", experts: "" },
    stacked: { gateUp: "block_sparse_moe.input_linear", down: "block_sparse_moe.output_linear" },
  }),
  GptOssForCausalLM: (config) => ({
    ...{ count: config["num_local_experts"] as number, width: config.intermediate_size, isSparse: always },
    choice: {
      ...{ K: config["num_experts_per_tok"] as number, scores: "softmax", renormalize: true },
      clamp: { limit: (config["swiglu_limit"] ?? 7) as number, alpha: 1.702 },
    },
    ...{ router: "mlp.router", routerBias: "mlp.router.bias", experts: "" },
    stacked: { gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj", inTurns: true },
  }),
  Glm4MoeForCausalLM: (config) => deepseek(config, { scores: "sigmoid", firstDense: 1 }),
  DeepseekV2ForCausalLM: (config) => {
    const hasGroups = config["topk_method"] === "group_limited_greedy";
    const { correctionBias: _none, ...mixture } = deepseek(config, { scores: "softmax", firstDense: 0 });
    const groups = hasGroups ? { groupBest: 1 } : { groups: 1, topGroups: 1 };
    return { ...mixture, choice: { ...mixture.choice, ...groups } };
  },
  DeepseekV3ForCausalLM: (config) => deepseek(config, { scores: "sigmoid", firstDense: 3 }),
};

/** @param firstDense what the class has for `first_k_dense_replace` */
function deepseek(
  config: TinyConfig,
  { scores, firstDense }: { readonly scores: "softmax" | "sigmoid"; readonly firstDense: number },
): TinyMixture {
  return {
    ...{ count: config["n_routed_experts"] as number, width: config["moe_intermediate_size"] as number },
    isSparse: (layer) => layer >= ((config["first_k_dense_replace"] ?? firstDense) as number),
    choice: {
      ...{ K: config["num_experts_per_tok"] as number, scores },
      renormalize: (config["norm_topk_prob"] ?? scores === "sigmoid") as boolean,
      scale: (config["routed_scaling_factor"] ?? 1) as number,
      groups: (config["n_group"] ?? 1) as number,
      topGroups: (config["topk_group"] ?? 1) as number,
    },
    ...{ router: "mlp.gate", experts: "mlp.experts", correctionBias: "mlp.gate.e_score_correction_bias" },
    shared: {
      name: "mlp.shared_experts",
      width: (config["n_shared_experts"] as number) * (config["moe_intermediate_size"] as number),
    },
  };
}

/** Every `decoder_sparse_step`-th layer, except `mlp_only_layers`. */
function qwen(config: TinyConfig): TinyMixture {
  const { decoder_sparse_step: step = 1, mlp_only_layers: dense = [] } = config;
  return {
    ...{ count: config["num_experts"] as number, width: config["moe_intermediate_size"] as number },
    isSparse: (layer) => (layer + 1) % (step as number) === 0 && !(dense as number[]).includes(layer),
    choice: {
      ...{ K: config["num_experts_per_tok"] as number, scores: "softmax" },
      renormalize: (config["norm_topk_prob"] ?? false) as boolean,
    },
    ...{ router: "mlp.gate", experts: "mlp.experts" },
  };
}

/** Undefined: a dense layer. */
export function mixtureOf(config: TinyConfig, layer: number): TinyMixture | undefined {
  const mixture = families[config.architectures[0]]?.(config);
  return mixture?.isSparse(layer) ? mixture : undefined;
}

/** Tensors below a layer. */
export function mixtureShapes(
  { hidden_size: D }: TinyConfig,
  mixture: TinyMixture,
): Map<string, readonly number[]> {
  const { count: E, width: F, router, experts, stacked, routerBias, correctionBias, shared } = mixture;
  const shapes = new Map<string, readonly number[]>([[`${router}.weight`, [E, D]]]);
  const gated = (name: string, width: number): void => {
    shapes.set(`${name}.gate_proj.weight`, [width, D]);
    shapes.set(`${name}.up_proj.weight`, [width, D]);
    shapes.set(`${name}.down_proj.weight`, [D, width]);
  };
  if (stacked?.inTurns) {
    shapes.set(stacked.gateUp, [E, D, 2 * F]);
    shapes.set(`${stacked.gateUp}_bias`, [E, 2 * F]);
    shapes.set(stacked.down, [E, F, D]);
    shapes.set(`${stacked.down}_bias`, [E, D]);
  } else if (stacked) {
    shapes.set(`${stacked.gateUp}.weight`, [E, 2 * F, D]);
    shapes.set(`${stacked.down}.weight`, [E, D, F]);
  } else {
    for (let e = 0; e < E; e++) gated(`${experts}.${e}`, F);
  }
  if (routerBias) shapes.set(routerBias, [E]);
  if (correctionBias) shapes.set(correctionBias, [E]);
  if (shared) gated(shared.name, shared.width);
  if (shared?.gate) shapes.set(`${shared.gate}.weight`, [1, D]);
  return shapes;
}

type Get = (name: string) => Float64Array;

/** What it makes of x [T, D]. @param get the numbers of a tensor below the layer */
export function referenceMixture(
  x: Float64Array,
  { hidden_size: D }: TinyConfig,
  mixture: TinyMixture,
  get: Get,
): Float64Array {
  const { count: E, router, routerBias, correctionBias, shared, choice } = mixture;
  const matrix = (name: string, N: number, K: number): Matrix => ({ values: get(`${name}.weight`), N, K });
  const weights = {
    router: { ...matrix(router, E, D), ...(routerBias && { bias: get(routerBias) }) },
    experts: Array.from({ length: E }, (_, e) => expertOf(e, mixture, D, get)),
    ...(shared && {
      shared: {
        ...gatedOf(shared.name, shared.width, D, get),
        ...(shared.gate !== undefined && { outputGate: matrix(shared.gate, 1, D) }),
      },
    }),
  };
  return moe(x, weights, { ...choice, ...(correctionBias && { bias: get(correctionBias) }) }).out;
}

function gatedOf(name: string, F: number, D: number, get: Get): GatedMlpWeights {
  const matrix = (part: string, N: number, K: number): Matrix => {
    return { values: get(`${name}.${part}_proj.weight`), N, K };
  };
  return { gate: matrix("gate", F, D), up: matrix("up", F, D), down: matrix("down", D, F) };
}

function expertOf(
  e: number,
  { width: F, experts, stacked }: TinyMixture,
  D: number,
  get: Get,
): GatedMlpWeights {
  if (!stacked) return gatedOf(`${experts}.${e}`, F, D, get);
  const { gateUp, down, inTurns } = stacked;
  if (inTurns) {
    return {
      gate: columnsOf(gateUp, e, { first: 0, step: 2, N: F, K: D }, get),
      up: columnsOf(gateUp, e, { first: 1, step: 2, N: F, K: D }, get),
      down: columnsOf(down, e, { first: 0, step: 1, N: D, K: F }, get),
    };
  }
  const part = (name: string, start: number, N: number, K: number): Matrix => ({
    ...{ values: get(`${name}.weight`).subarray(start * K, (start + N) * K), N, K },
  });
  return {
    gate: part(gateUp, 2 * e * F, F, D),
    up: part(gateUp, (2 * e + 1) * F, F, D),
    down: part(down, e * D, D, F),
  };
}

/** Columns first, first + step, ... of an expert's [K, N * step], as rows, and the bias of each. */
function columnsOf(
  name: string,
  e: number,
  { first, step, N, K }: Readonly<Record<"first" | "step" | "N" | "K", number>>,
  get: Get,
): Matrix {
  const [whole, biases] = [get(name), get(`${name}_bias`)];
  const column = (n: number): number => first + n * step;
  const at = (i: number): number => (e * K + (i % K)) * N * step + column(Math.floor(i / K));
  return {
    ...{ values: Float64Array.from({ length: N * K }, (_, i) => whole[at(i)]!), N, K },
    bias: Float64Array.from({ length: N }, (_, n) => biases[e * N * step + column(n)]!),
  };
}
