// Contract: what layers keep lies side by side in the blocks of one pool: nothing overlaps, every tensor begins aligned, pages are
// views of the pool whose ids are the same in all layers.
import { describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import type { DType } from "../../lib/device/dtype.js";
import { copy } from "../../lib/ops/copy.js";
import { allocateState, stateLayout, type StateSpec } from "../../lib/nn/state.js";

const f32 = (...shape: number[]) => ({ dtype: "f32" as const, shape });
const bf16 = (...shape: number[]) => ({ dtype: "bf16" as const, shape });
const hostArray = (dtype: DType, size: number) =>
  dtype === "f32" ? new Float32Array(size) : new Uint16Array(size);

describe("layout", () => {
  interface Case {
    readonly title: string;
    readonly layers: readonly StateSpec[];
    readonly pageSize: number;
    readonly blockBytes: number;
    readonly offsets: readonly object[];
  }
  const kv = { k: f32(2, 16), v: f32(2, 16) };
  it.each<Case>([
    { title: "nothing", layers: [], pageSize: 16, blockBytes: 0, offsets: [] },
    { title: "a layer that keeps nothing", layers: [{}], pageSize: 16, blockBytes: 0, offsets: [{}] },
    {
      ...{ title: "keys and values of two layers", layers: [kv, kv], pageSize: 16, blockBytes: 8192 },
      offsets: [
        { k: 0, v: 2048 },
        { k: 4096, v: 6144 },
      ],
    },
    {
      title: "tensors that differ by layer, each begun at 256 bytes",
      layers: [{ latent: bf16(9) }, {}, { k: f32(1, 3), v: bf16(1, 1) }],
      ...{ pageSize: 5, blockBytes: 768, offsets: [{ latent: 0 }, {}, { k: 256, v: 512 }] },
    },
    {
      ...{ title: "a tensor of two times 256 bytes, nearly", layers: [{ x: bf16(129) }], pageSize: 1 },
      ...{ blockBytes: 512, offsets: [{ x: 0 }] },
    },
  ])("$title", ({ layers, pageSize, blockBytes, offsets }) => {
    expect(stateLayout(layers, pageSize)).toEqual({ pageSize, blockBytes, offsets });
  });
});

describe("pages", () => {
  it("of every layer and tensor are memory of their own, and together they are the pool", async () => {
    await using device = Device.open("cpu");
    const stream = device.createStream();
    const layers: StateSpec[] = [{ k: f32(2, 4), v: f32(2, 3) }, {}, { latent: bf16(7) }];
    using state = allocateState(device, layers, { numPages: 3, pageSize: 5 });
    const { blockBytes } = stateLayout(layers, 5);
    expect(state.pool.shape).toEqual([3, blockBytes]);
    expect(state.layers.map((layer) => Object.values(layer).map(({ shape }) => shape))).toEqual([
      [
        [3, 5, 2, 4],
        [3, 5, 2, 3],
      ],
      [],
      [[3, 5, 7]],
    ]);

    state.pool.write(stream, new Uint8Array(state.pool.numel));
    const pages = state.layers.flatMap((layer) =>
      Object.values(layer).flatMap((tensor) => [0, 1, 2].map((page) => tensor.slice(0, page, page + 1))),
    );
    const marks = pages.map((page, i) => hostArray(page.dtype, page.numel).fill(0x4000 + i));
    for (const [i, page] of pages.entries())
      copy(stream, stream.fromArray(page.dtype, page.shape, marks[i]!), page);
    for (const [i, page] of pages.entries()) {
      const own = stream.empty(page.dtype, page.shape);
      copy(stream, page, own);
      expect(await own.read(stream)).toEqual(marks[i]);
    }
    state.dispose();
    expect(state.pool.memory.disposed).toBe(true);
  });
});
