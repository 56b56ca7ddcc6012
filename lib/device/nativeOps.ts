/**
 * What crosses the boundary in a call of each op, in order. Written by `npm run format` from `fields` in
 * native/ops/<op>/<op>.h.
 */
import type { NativeOp } from "./nativeOp.js";

export interface NativeOps {
  readonly rmsNorm: NativeOp<[x: "tensor", weight: "tensor", residual: "tensor or null", gate: "tensor or null", out: "tensor", eps: "number", weightOffset: "number"]>;
  readonly packLinear: NativeOp<[weight: "tensor", out: "weight", firstRow: "number"]>;
  readonly dequantize: NativeOp<[stored: "stored rows", out: "tensor"]>;
  readonly packStored: NativeOp<[stored: "stored rows", out: "weight", firstRow: "number"]>;
  readonly quantize: NativeOp<[x: "tensor", stored: "stored rows", positive: "flag"]>;
  readonly linear: NativeOp<[x: "tensor", weight: "weight", bias: "tensor or null", residual: "tensor or null", out: "tensor"]>;
  readonly headLinear: NativeOp<[x: "tensor", weight: "weight", out: "tensor"]>;
  readonly groupedLinear: NativeOp<
    [x: "tensor", weight: "weight", offsets: "tensor", order: "tensor or null", bias: "tensor or null", out: "tensor", topK: "number", clamped: "flag", limit: "number", alpha: "number"]
  >;
  readonly gatherInputs: NativeOp<[x: "tensor", inputOrder: "tensor", offsets: "tensor or null", order: "tensor or null", out: "tensor", topK: "number"]>;
  readonly kvStore: NativeOp<[k: "tensor", v: "tensor", kPages: "tensor", vPages: "tensor", slots: "tensor", kScales: "tensor or null", vScales: "tensor or null"]>;
  readonly rope: NativeOp<[q: "tensor", k: "tensor or null", positions: "tensor", table: "tensor", interleaved: "flag"]>;
  readonly qkNormRopeStore: NativeOp<
    [
      q: "tensor",
      k: "tensor",
      v: "tensor",
      qWeight: "tensor or null",
      kWeight: "tensor or null",
      positions: "tensor",
      table: "tensor",
      kPages: "tensor",
      vPages: "tensor",
      slots: "tensor",
      eps: "number",
      kScales: "tensor or null",
      vScales: "tensor or null",
    ]
  >;
  readonly moeRoute: NativeOp<
    [
      logits: "tensor",
      bias: "tensor or null",
      weights: "tensor",
      experts: "tensor",
      scores: "number",
      renormalize: "flag",
      scale: "number",
      groups: "number",
      topGroups: "number",
      groupBest: "number",
      order: "tensor or null",
      inverse: "tensor or null",
      offsets: "tensor or null",
    ]
  >;
  readonly moePermute: NativeOp<[experts: "tensor", order: "tensor", inverse: "tensor", offsets: "tensor"]>;
  readonly moeCombine: NativeOp<[y: "tensor", inverse: "tensor", weights: "tensor", residual: "tensor or null", offsets: "tensor or null", out: "tensor"]>;
  readonly moeCount: NativeOp<[experts: "tensor", slots: "tensor or null", counts: "tensor"]>;
  readonly argmax: NativeOp<[logits: "tensor", out: "tensor", status: "tensor or null"]>;
  readonly embedding: NativeOp<[ids: "tensor", table: "tensor or null", weight: "weight or null", out: "tensor"]>;
  readonly siluMul: NativeOp<[x: "tensor", out: "tensor", clamped: "flag", limit: "number", alpha: "number"]>;
  readonly add: NativeOp<[a: "tensor", b: "tensor", out: "tensor", scale: "number"]>;
  readonly cast: NativeOp<[x: "tensor", out: "tensor", dtype: "number"]>;
  readonly copy: NativeOp<[src: "tensor", dst: "tensor"]>;
  readonly tableGather: NativeOp<[table: "tensor", rows: "tensor", cols: "tensor or null", out: "tensor"]>;
  readonly tableScatter: NativeOp<[table: "tensor", rows: "tensor", cols: "tensor", values: "tensor"]>;
  readonly stepInputs: NativeOp<
    [
      rows: "tensor",
      starts: "tensor",
      cuSeqlensQ: "tensor",
      logitIndices: "tensor",
      lengths: "tensor",
      tokenPool: "tensor",
      pageTables: "tensor",
      groups: "tensor",
      tokens: "tensor",
      positions: "tensor",
      slots: "tensor",
      contextLens: "tensor",
      samplePositions: "tensor",
    ]
  >;
  readonly causalConv1d: NativeOp<
    [x: "tensor", weight: "tensor", bias: "tensor or null", cuSeqlensQ: "tensor", contextLens: "tensor", state: "tensor", stateIndices: "tensor", out: "tensor", activation: "number"]
  >;
  readonly ssmScan: NativeOp<
    [
      x: "tensor",
      dt: "tensor",
      a: "tensor",
      b: "tensor",
      c: "tensor",
      skip: "tensor or null",
      dtBias: "tensor or null",
      cuSeqlensQ: "tensor",
      contextLens: "tensor",
      state: "tensor",
      stateIndices: "tensor",
      out: "tensor",
      dtMin: "number",
      dtMax: "number",
    ]
  >;
  readonly layerNorm: NativeOp<[x: "tensor", weight: "tensor", bias: "tensor or null", out: "tensor", eps: "number"]>;
  readonly gelu: NativeOp<[x: "tensor", out: "tensor", approximate: "number"]>;
  readonly geluMul: NativeOp<[x: "tensor", out: "tensor", approximate: "number"]>;
  readonly softcap: NativeOp<[x: "tensor", out: "tensor", cap: "number"]>;
  readonly clamp: NativeOp<[x: "tensor", out: "tensor", limit: "number"]>;
  readonly sample: NativeOp<
    [
      logits: "tensor",
      floats: "tensor",
      ints: "tensor",
      positions: "tensor",
      tokenPool: "tensor or null",
      biasIds: "tensor or null",
      biasValues: "tensor or null",
      suppressedIds: "tensor or null",
      bitmask: "tensor or null",
      processed: "tensor",
      counts: "tensor or null",
      out: "tensor",
      status: "tensor or null",
    ]
  >;
  readonly logprobs: NativeOp<[logits: "tensor", ids: "tensor", chosen: "tensor", topIds: "tensor", topValues: "tensor", status: "tensor or null"]>;
  readonly softmax: NativeOp<[x: "tensor", out: "tensor", scale: "number", causal: "flag"]>;
  readonly attentionPlan: NativeOp<
    [
      pageTable: "tensor",
      rows: "tensor",
      cuSeqlensQ: "tensor",
      contextLens: "tensor",
      queryOffsets: "tensor or null",
      out: "tensor",
      numQueries: "number",
      numHeads: "number",
      numKvHeads: "number",
      headDim: "number",
      valueDim: "number",
      latent: "number",
      pageSize: "number",
      window: "number",
      maxQueries: "number",
      dtype: "number",
      kvDtype: "number",
    ]
  >;
  readonly pagedAttention: NativeOp<
    [
      q: "tensor",
      kPages: "tensor",
      vPages: "tensor",
      pageTable: "tensor",
      rows: "tensor",
      cuSeqlensQ: "tensor",
      contextLens: "tensor",
      queryOffsets: "tensor or null",
      plan: "tensor or null",
      lse: "tensor or null",
      sinks: "tensor or null",
      treeMask: "tensor or null",
      blockMask: "tensor or null",
      kScales: "tensor or null",
      vScales: "tensor or null",
      out: "tensor",
      scale: "number",
      softcap: "number",
      window: "number",
      maxQueries: "number",
    ]
  >;
  readonly mlaAttention: NativeOp<
    [
      q: "tensor",
      latentPages: "tensor",
      latentScales: "tensor or null",
      rotatedPages: "tensor or null",
      pageTable: "tensor",
      rows: "tensor",
      cuSeqlensQ: "tensor",
      contextLens: "tensor",
      queryOffsets: "tensor or null",
      plan: "tensor or null",
      indices: "tensor or null",
      lse: "tensor or null",
      out: "tensor",
      latent: "number",
      scale: "number",
      maxQueries: "number",
    ]
  >;
  readonly indexerTopK: NativeOp<
    [q: "tensor", weights: "tensor", keyPages: "tensor", pageTable: "tensor", rows: "tensor", cuSeqlensQ: "tensor", contextLens: "tensor", out: "tensor", topK: "number", scale: "number"]
  >;
  readonly flashAttention: NativeOp<
    [
      q: "tensor",
      k: "tensor",
      v: "tensor",
      cuSeqlensQ: "tensor or null",
      cuSeqlensK: "tensor or null",
      lse: "tensor or null",
      sinks: "tensor or null",
      treeMask: "tensor or null",
      blockMask: "tensor or null",
      out: "tensor",
      scale: "number",
      softcap: "number",
      window: "number",
      causal: "flag",
    ]
  >;
}
