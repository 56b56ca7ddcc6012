/**
 * Feed-forward parts with experts that transformer.ts takes: their checkpoint names as data, and the block built from them.
 */
import { type MoeChoice, moeBlock, type SharedExpert } from "../nn/moe.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import type { RowView } from "../weights/rowView.js";
import type { SwigluClamp } from "../ops/siluMul.js";
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

/** Checkpoint names of one tensor for all experts. */
export interface StackedNames {
  /** [E, 2F, D], whose rows are gate, then up */
  readonly gateUp: string;
  /** [E, D, F] */
  readonly down: string;
  /** They are [E, D, 2F], where gate and up take turns, and [E, F, D]. */
  readonly isTransposed?: boolean;
  /** Of vectors [E, 2F], in that order, and [E, D]. */
  readonly biases?: { readonly gateUp: string; readonly down: string };
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
    /** Of a vector [E] that is a part of the logits. Not with the gate of a shared expert. */
    readonly routerBias?: string;
    /** Of a vector [E] that is added to the scores to choose. */
    readonly correctionBias?: string;
    /** With `{expert}`; or of one tensor for all experts. */
    readonly experts: ProjectionNames | StackedNames;
  };
  /** Of gate and up of the experts. Default: as they are. */
  readonly clamp?: SwigluClamp;
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
  const { numExperts, choice, names, clamp, shared, onlyLayers } = options;
  const hasBiases = "biases" in names.experts;
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
        { numExperts, clamp, ...(experts && { experts }), ...choice },
        {
          router: weights.linear("router", layer),
          correctionBias: names.correctionBias ? weights.vector("correctionBias", layer) : undefined,
          routerBias: weights.optionalVector("routerBias", layer),
          gateUp: weights.experts("expertsGateUp", layer),
          gateUpBias: hasBiases ? weights.expertVectors("expertsGateUpBias", layer) : undefined,
          down: weights.experts("expertsDown", layer),
          downBias: hasBiases ? weights.expertVectors("expertsDownBias", layer) : undefined,
          shared: shared && sharedExpert(weights, layer, shared.gate !== undefined),
        },
      ),
  };
}

/** The gate of the shared expert is the last row of the router: one product for both. */
function routerRows({ hiddenSize: D, numExperts: E, names, shared }: SparseMlpOptions): ModelWeightRow[] {
  const vector = (slot: string, name: string | undefined): ModelWeightRow[] =>
    name === undefined ? [] : [{ slot, form: "vector", from: [name], shapes: [[E]] }];
  const { router, routerBias, correctionBias } = names;
  const [gates, shapes] = shared?.gate ? [[shared.gate], [[1, D]]] : [[], []];
  return [
    {
      slot: "router",
      form: "linear",
      from: [router, ...gates],
      shapes: [[E, D], ...shapes],
      quantized: "never",
    },
    ...vector("routerBias", routerBias),
    ...vector("correctionBias", correctionBias),
  ];
}

function expertRows({ hiddenSize: D, width: F, names: { experts } }: SparseMlpOptions): ModelWeightRow[] {
  if (!("gate" in experts)) return stackedRows(D, F, experts);
  const split = { axis: "experts" } as const;
  const inner = [F, D];
  return [
    {
      ...{ slot: "expertsGateUp", form: "gatedExperts", from: [experts.gate, experts.up], split },
      shapes: [inner, inner],
    },
    { slot: "expertsDown", form: "experts", from: [experts.down], shapes: [[D, F]], split },
  ];
}

/** Gate and up are two views of one tensor. */
function stackedRows(
  D: number,
  F: number,
  { gateUp, down, isTransposed = false, biases }: StackedNames,
): ModelWeightRow[] {
  const all = { split: { axis: "experts" }, stacked: true } as const;
  const turn = isTransposed ? { axes: [F, 2], axis: 1 } : { axes: [2, F], axis: 0 };
  const half = (start: number): RowView => ({
    axes: turn.axes,
    take: { axis: turn.axis, start, end: start + 1 },
  });
  const rowViews = [half(0), half(1)];
  const shape = (rows: number, columns: number) => (isTransposed ? [columns, rows] : [rows, columns]);
  const both = shape(2 * F, D);
  return [
    {
      ...{ slot: "expertsGateUp", form: "gatedExperts", from: [gateUp, gateUp], shapes: [both, both] },
      ...{ rowViews, transpose: isTransposed, ...all },
    },
    {
      ...{ slot: "expertsDown", form: "experts", from: [down], shapes: [shape(D, F)] },
      ...{ transpose: isTransposed, ...all },
    },
    ...(biases ? biasRows(biases, { D, F, rowViews }) : []),
  ];
}

function biasRows(
  { gateUp, down }: Required<StackedNames>["biases"],
  { D, F, rowViews }: { readonly D: number; readonly F: number; readonly rowViews: readonly RowView[] },
): ModelWeightRow[] {
  const all = { form: "expertVectors", split: { axis: "experts" }, stacked: true } as const;
  const both = [2 * F];
  return [
    { slot: "expertsGateUpBias", from: [gateUp, gateUp], shapes: [both, both], rowViews, ...all },
    { slot: "expertsDownBias", from: [down], shapes: [[D]], ...all },
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
