/**
 * Feed-forward parts with experts that transformer.ts takes: their checkpoint names as data, and the block built from them.
 */
import { type MoeChoice, moeBlock, type SharedExpert } from "../nn/moe.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import type { TransformerMlp } from "./transformer.js";

/** Checkpoint names of a gated MLP. */
export interface ProjectionNames {
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

/** gate_proj, up_proj and down_proj of a module. */
export function projections(module: string): ProjectionNames {
  const [gate, up, down] = ["gate", "up", "down"].map((name) => `${module}.${name}_proj.weight`);
  return { gate: gate!, up: up!, down: down! };
}

export interface SparseMlpOptions {
  /** D */
  readonly hiddenSize: number;
  /** F, of one expert */
  readonly width: number;
  /** E */
  readonly numExperts: number;
  /** K of them, and how. */
  readonly choice: MoeChoice;
  /** Checkpoint names with `{layer}`. */
  readonly names: {
    readonly router: string;
    /** Of a vector [E] that is added to the scores to choose. */
    readonly correctionBias?: string;
    /**
     * With `{expert}`; or of one tensor for all experts, [E, 2F, D] whose rows are gate, then up, and [E, D, F].
     */
    readonly experts: ProjectionNames | { readonly gateUp: string; readonly down: string };
  };
  /** An expert that every token runs through, as wide as all of them together. */
  readonly shared?: {
    readonly width: number;
    readonly names: ProjectionNames;
    /** Of a matrix [1, D] whose sigmoid its result is multiplied by. */
    readonly gate?: string;
  };
  /** Layers that have experts; all if left out. */
  readonly onlyLayers?: readonly number[];
}

/** Experts chosen by the scores of a linear router, beside one that is shared if there is one. */
export function sparseMlp(options: SparseMlpOptions): TransformerMlp {
  const { numExperts, choice, names, shared, onlyLayers } = options;
  const rows = [
    ...routerRows(options),
    ...expertRows(options),
    ...(shared ? sharedRows(options.hiddenSize, shared) : []),
  ];
  return {
    numExperts,
    expertsPerToken: choice.topK,
    rows: onlyLayers ? rows.map((row) => ({ ...row, onlyLayers })) : rows,
    build: (weights, layer, { experts }) =>
      moeBlock(
        { numExperts, ...(experts && { experts }), ...choice },
        {
          router: weights.linear("router", layer),
          correctionBias: names.correctionBias ? weights.vector("correctionBias", layer) : undefined,
          gateUp: weights.experts("expertsGateUp", layer),
          down: weights.experts("expertsDown", layer),
          shared: shared && sharedExpert(weights, layer, shared.gate !== undefined),
        },
      ),
  };
}

/** The gate of the shared expert is the last row of the router: one product for both. */
function routerRows({ hiddenSize: D, numExperts: E, names, shared }: SparseMlpOptions): ModelWeightRow[] {
  const { router, correctionBias: bias } = names;
  const [gates, shapes] = shared?.gate ? [[shared.gate], [[1, D]]] : [[], []];
  return [
    { slot: "router", form: "linear", from: [router, ...gates], shapes: [[E, D], ...shapes] },
    ...(bias ? [{ slot: "correctionBias", form: "vector", from: [bias], shapes: [[E]] } as const] : []),
  ];
}

function expertRows({ hiddenSize: D, width: F, names: { experts } }: SparseMlpOptions): ModelWeightRow[] {
  const split = { axis: "experts" } as const;
  const [gateUp, down] = [
    { slot: "expertsGateUp", form: "gatedExperts", split } as const,
    { slot: "expertsDown", form: "experts", from: [experts.down], shapes: [[D, F]], split } as const,
  ];
  if ("gate" in experts) {
    const [from, inner] = [
      [experts.gate, experts.up],
      [F, D],
    ];
    return [{ ...gateUp, from, shapes: [inner, inner] }, down];
  }
  const half = (start: number): RowView => ({ axes: [1, 2, F], take: { axis: 1, start, end: start + 1 } });
  const [from, both] = [
    [experts.gateUp, experts.gateUp],
    [2 * F, D],
  ];
  return [
    { ...gateUp, from, shapes: [both, both], rowViews: [half(0), half(1)], stacked: true },
    { ...down, stacked: true },
  ];
}

/** Ranks that share the experts divide it like an MLP: what each computes is in the sum over experts. */
function sharedRows(D: number, { width: F, names }: Required<SparseMlpOptions>["shared"]): ModelWeightRow[] {
  const inner = [F, D];
  return [
    {
      ...{ slot: "sharedGateUp", form: "gatedLinear", from: [names.gate, names.up], shapes: [inner, inner] },
      split: { axis: "outputs", ranks: "ep" },
    },
    {
      ...{ slot: "sharedDown", form: "linear", from: [names.down], shapes: [[D, F]] },
      split: { axis: "inputs", ranks: "ep" },
    },
  ];
}

function sharedExpert(weights: ModelWeights, layer: number, hasGate: boolean): SharedExpert {
  const [gateUp, down] = [weights.linear("sharedGateUp", layer), weights.linear("sharedDown", layer)];
  return { gateUp, down, hasGate };
}

/**
 * Layers with experts among dense ones.
 *
 * @param make the part of some layers; `dense` is asked only where there are some
 */
export function mixedMlp(
  numLayers: number,
  isSparse: (layer: number) => boolean,
  make: Readonly<Record<"sparse" | "dense", (onlyLayers: readonly number[]) => TransformerMlp>>,
): TransformerMlp {
  const layers = Array.from({ length: numLayers }, (_, layer) => layer);
  const sparse = make.sparse(layers.filter(isSparse));
  const denseLayers = layers.filter((layer) => !isSparse(layer));
  if (denseLayers.length === 0) return sparse;
  const dense = make.dense(denseLayers);
  return {
    ...sparse,
    rows: [...sparse.rows, ...dense.rows],
    build: (weights, layer, rank) => (isSparse(layer) ? sparse : dense).build(weights, layer, rank),
  };
}
