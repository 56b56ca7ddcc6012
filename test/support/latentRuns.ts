/** Runs of mlaAttention on a kernel that is named, on the emulated GPU. */
import { native } from "../../lib/device/native.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { mlaAttention as reference } from "../reference/mlaAttention.js";
import { expectClose } from "./compare.js";
import { openTestDevice, withEnvironment } from "./devices.js";
import { toStorage, type FloatDType } from "./dtype.js";
import type { Lengths, Plant } from "./hiddenKeys.js";
import { latentCall, type LatentShape, sequenceTensors } from "./latentCalls.js";

/** AttentionCounter of native/cuda/attention/items.cuh. */
const ownCounters = 4;

export interface LatentRun extends Partial<LatentShape> {
  readonly lengths: readonly Lengths[];
  readonly plant?: Plant;
  readonly scale?: number;
  readonly out?: FloatDType;
  readonly planned?: boolean;
  /** All tokens are named, in order. */
  readonly named?: boolean;
}

/** The result of a run on `kernel`, and what it should be. Default: 16 heads, R 512, Dr 64, pages of 64, bf16. */
export async function attendOn(kernel: string, run: LatentRun) {
  const shape = { Hq: 16, R: 512, Dr: 64, Ps: 64, dtype: "bf16", ...run } as const;
  const { Hq, R, Dr, Ps, dtype } = shape;
  const call = latentCall(shape, run.plant);
  const scale = run.scale ?? call.scale;
  await using device = openTestDevice();
  const stream = withEnvironment({ WARPLOOP_KERNEL: `mlaAttention:${kernel}` }, () => device.createStream());
  const integers = (sizes: readonly number[], values: Int32Array) => stream.fromArray("i32", sizes, values);
  const sequences = sequenceTensors(integers, call);
  const tensor = (sizes: number[], values: Float64Array) =>
    stream.fromArray(dtype, sizes, toStorage(dtype, values));
  const sizes = { numQueries: call.T, numHeads: Hq, numKvHeads: 1, headDim: R + Dr, latent: R, pageSize: Ps };
  const plan = run.planned ? attentionPlan(stream, ...sequences, { ...sizes, dtype }) : undefined;
  const topK = Math.max(...call.contextLens);
  const names = Int32Array.from({ length: call.T * topK }, (_, i) => i % topK);
  const indices = run.named ? integers([call.T, topK], names) : undefined;
  const lse = stream.empty("f32", [call.T, Hq]);
  const out = stream.empty(run.out ?? dtype, [call.T, Hq, R]);
  const [q, latents] = [
    tensor([call.T, Hq, R + Dr], call.q),
    tensor([call.P, Ps, R + Dr], call.latents),
  ] as const;
  const trace = stream.trace();
  mlaAttention(stream, q, latents, ...sequences, { latent: R, scale, lse, plan, out, indices });
  const { launches } = (await trace.end()).find(({ op }) => op === "mlaAttention")!;
  const { pageTable, rows, cu, contextLens } = call;
  return {
    ...{ launches, dtype, scale },
    out: await out.readFloat32(stream),
    lse: await lse.readFloat32(stream),
    expected: reference(call.q, call.latents, pageTable, rows, cu, contextLens, call.sizes, { scale }),
    shape: [call.T, Hq, R],
    reduction: topK + R + Dr,
  };
}

/** The same with counters for no split tile: one block has all latents of a tile. */
export async function attendUnsplitOn(kernel: string, run: LatentRun) {
  native.setScratch!(1 << 26, ownCounters);
  return attendOn(kernel, run).finally(() => native.setScratch!());
}

export function expectRight(result: Awaited<ReturnType<typeof attendOn>>): void {
  const { out, lse, expected, shape, reduction, dtype, scale } = result;
  expectClose(out, expected.out, { dtype, intermediate: dtype, shape, reduction });
  if (scale === 0) return; // the kernels take the least scale that has a sign
  expectClose(lse, expected.lse, { dtype: "f32", shape: shape.slice(0, 2), reduction, label: "lse" });
}
