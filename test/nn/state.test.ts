// Contract: what layers keep lies side by side in the blocks of one pool: layers that live equally long are one group, whose pages
// fill a block as far as they fit; nothing overlaps, every tensor begins aligned, pages are views of the pool whose ids are the
// same in all layers of a group.
import { describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import type { DType } from "../../lib/device/dtype.js";
import { copy } from "../../lib/ops/copy.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { allocateState, stateLayout, type StateSpec } from "../../lib/nn/state.js";

const f32 = (...shape: number[]) => ({ dtype: "f32" as const, shape });
const bf16 = (...shape: number[]) => ({ dtype: "bf16" as const, shape });
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);
const hostArray = (dtype: DType, size: number) =>
  dtype === "f32" ? new Float32Array(size) : new Uint16Array(size);

type Tensors = StateSpec["tensors"];
const kept = (tensors: Tensors): StateSpec => ({ lifetime: "all", tensors });
const windowed = (window: number, tensors: Tensors): StateSpec => ({ lifetime: { window }, tensors });
const kv = { k: f32(2, 16), v: f32(2, 16) }; // 4096 bytes for 16 tokens

describe("layout of one group", () => {
  interface Case {
    readonly title: string;
    readonly layers: readonly Tensors[];
    readonly pageSize: number;
    readonly blockBytes: number;
    readonly offsets: readonly object[];
  }
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
    expect(stateLayout(layers.map(kept), { pageSize, longest: 100 })).toEqual({
      ...{ pageSize, blockBytes, slotLayers: 0 },
      groups: layers.length > 0 ? [{ window: 0, pagesPerBlock: 1, waste: 0 }] : [],
      layers: offsets.map((own) => ({ place: { group: 0 }, offsets: own })),
    });
  });
});

describe("layout of several groups", () => {
  const size = { pageSize: 16, longest: 4096 };
  const summary = (specs: readonly StateSpec[]) => {
    const { blockBytes, groups, layers } = stateLayout(specs, size);
    return {
      blockBytes,
      groups,
      of: layers.map(({ place }) => ("group" in place ? place.group : "slot")).join(""),
    };
  };

  it("is one group for each lifetime, in the order of their first layers", () => {
    const specs = [windowed(8, kv), kept(kv), windowed(9, kv), windowed(8, kv), kept(kv), windowed(9, kv)];
    const group = (window: number) => ({ window, pagesPerBlock: 1, waste: 0 });
    const groups = [8, 0, 9].map(group);
    expect(summary(specs)).toEqual({ blockBytes: 8192, groups, of: "012012" });
  });

  it("a window that is no shorter than any sequence keeps everything", () => {
    expect(summary([windowed(4096, kv), kept(kv), windowed(9999, kv)]).groups).toHaveLength(1);
    expect(summary([windowed(4095, kv), kept(kv)]).groups).toHaveLength(2);
  });

  // Every sixth layer sees everything; keys and values of bf16.
  it.each([
    { name: "12B", layers: 48, heads: 8, headDim: 256, blocks: 40, pages: 5, waste: 0 },
    { name: "27B", layers: 62, heads: 16, headDim: 128, blocks: 52, pages: 5, waste: 32 / 832 },
    { name: "4B", layers: 34, heads: 4, headDim: 256, blocks: 29, pages: 5, waste: 4 / 29 },
  ])("a block has as many pages of a group as fit: Gemma 3 $name", (c) => {
    const own = { k: bf16(c.heads, c.headDim), v: bf16(c.heads, c.headDim) };
    const specs = range(c.layers).map((i) => (i % 6 === 5 ? kept(own) : windowed(1024, own)));
    const { blockBytes, groups, of } = summary(specs);
    expect(of).toMatch(/^(000001)+0*$/);
    expect(groups).toMatchObject([
      { window: 1024, pagesPerBlock: 1 },
      { window: 0, pagesPerBlock: c.pages },
    ]);
    expect(blockBytes / (c.blocks * 16 * 2 * 2 * c.heads * c.headDim)).toBeCloseTo(1, 3); // aligned, for five pages
    expect(groups[0]!.waste).toBeCloseTo(0, 3);
    expect(groups[1]!.waste).toBeCloseTo(c.waste, 3);
  });

  it("where more than 15 % would lie fallow, the largest group is split into equal ones", () => {
    // 8 and 5 layers: 3 of 8 would be left; 4, 4 and 5 leave 1 of 5; 3, 2, 3 and 5 leave 1 of 5, too; 2, 2, 2, 2 and 5 as well.
    const specs = [...Array<StateSpec>(8).fill(kept(kv)), ...Array<StateSpec>(5).fill(windowed(64, kv))];
    const { groups } = stateLayout(specs, size);
    const waste = Math.max(...groups.map((group) => group.waste));
    expect(waste).toBeLessThan(3 / 8);
    expect(groups.length).toBeGreaterThan(2);
    expect(groups.at(-1)).toMatchObject({ window: 64 });
  });

  it("every page of a block begins aligned", () => {
    const large = { k: bf16(8, 128), v: bf16(8, 128) };
    const specs = [
      ...Array<StateSpec>(7).fill(kept(large)),
      ...Array<StateSpec>(2).fill(windowed(64, large)),
    ];
    const { blockBytes, groups } = stateLayout(specs, size);
    expect(groups.map(({ pagesPerBlock }) => pagesPerBlock)).toEqual([1, 3]);
    for (const { pagesPerBlock } of groups) expect((blockBytes / pagesPerBlock) % 256).toBe(0);
    expect(blockBytes).toBeGreaterThanOrEqual(7 * 65_536);
  });
});

describe("slots", () => {
  const slot = (tensors: Tensors): StateSpec => ({ lifetime: "slot", tensors });

  it("have a block each, which is as large as the largest, and pages fill theirs as far as they fit", () => {
    const specs = [slot({ s: f32(64, 64) }), kept(kv), slot({ s: f32(64, 40), x: bf16(3, 9) }), kept(kv)];
    expect(stateLayout(specs, { pageSize: 16, longest: 99 })).toMatchObject({
      ...{ blockBytes: 64 * 64 * 4, slotLayers: 2, groups: [{ window: 0, pagesPerBlock: 2 }] },
      layers: [
        { place: { column: 0 }, offsets: { s: 0 } },
        { place: { group: 0 }, offsets: { k: 0, v: 2048 } },
        { place: { column: 1 }, offsets: { s: 0, x: 64 * 40 * 4 } },
        { place: { group: 0 }, offsets: { k: 4096, v: 6144 } },
      ],
    });
  });

  it("alone need no pages", () => {
    const { groups, slotLayers, blockBytes } = stateLayout([slot({ s: f32(3) })], {
      pageSize: 16,
      longest: 9,
    });
    expect({ groups, slotLayers, blockBytes }).toEqual({ groups: [], slotLayers: 1, blockBytes: 256 });
  });

  it("and pages are memory of their own", async () => {
    await using device = Device.open("cpu");
    const stream = device.createStream();
    const specs = [slot({ s: f32(3, 5), x: bf16(7) }), kept({ k: f32(2) }), slot({ s: bf16(40) })];
    const layout = stateLayout(specs, { pageSize: 4, longest: 99 });
    using state = allocateState(device, specs, { layout, numBlocks: 4 });
    const { pagesPerBlock } = layout.groups[0]!;
    // Block 1 is a slot of the first layer, block 2 one of the last, and block 3 has pages.
    const blocks = [[1], range(pagesPerBlock, 3 * pagesPerBlock), [2]];
    const own = state.layers.flatMap((layer, index) =>
      Object.values(layer).flatMap((tensor) =>
        blocks[index]!.map((at) => [tensor.slice(0, at, at + 1), 1] as const),
      ),
    );
    expect(own[0]![0].shape).toEqual([1, 3, 5]);
    await expectDisjoint(stream, state.pool, own);
  });
});

describe("pages", () => {
  it("of every layer and tensor are memory of their own, and together they are the pool", async () => {
    await using device = Device.open("cpu");
    const stream = device.createStream();
    const specs = [kept({ k: f32(2, 4), v: f32(2, 3) }), kept({}), kept({ latent: bf16(7) })];
    const layout = stateLayout(specs, { pageSize: 5, longest: 99 });
    using state = allocateState(device, specs, { layout, numBlocks: 3 });
    expect(state.pool.shape).toEqual([3, layout.blockBytes]);
    expect(state.layers.map((layer) => Object.values(layer).map(({ shape }) => shape))).toEqual([
      [
        [3, 5, 2, 4],
        [3, 5, 2, 3],
      ],
      [],
      [[3, 5, 7]],
    ]);
    const pages = state.layers.flatMap((layer) => Object.values(layer).map((tensor) => [tensor, 3] as const));
    await expectDisjoint(stream, state.pool, pages);
    state.dispose();
    expect(state.pool.memory.disposed).toBe(true);
  });

  it("of two groups are apart, too, in the blocks of each", async () => {
    await using device = Device.open("cpu");
    const stream = device.createStream();
    const specs = [...Array<StateSpec>(4).fill(kept({ k: f32(3) })), windowed(4, { k: f32(3), v: bf16(2) })];
    const layout = stateLayout(specs, { pageSize: 16, longest: 99 });
    expect(layout.groups.map(({ pagesPerBlock }) => pagesPerBlock)).toEqual([1, 2]);
    using state = allocateState(device, specs, { layout, numBlocks: 4 });
    expect(state.places).toEqual([0, 0, 0, 0, 1].map((group) => ({ group })));
    // Blocks 0 and 2 are the first group's, 1 and 3 the second's, with two pages each.
    const own = state.layers.flatMap((layer, index) => {
      const ids = index < 4 ? [0, 2] : [2, 3, 6, 7];
      return Object.values(layer).flatMap((tensor) => ids.map((id) => tensor.slice(0, id, id + 1)));
    });
    await expectDisjoint(
      stream,
      state.pool,
      own.map((page) => [page, 1] as const),
    );
  });
});

/** Marks every page, then reads all marks. */
async function expectDisjoint(
  stream: Stream,
  pool: Tensor,
  tensors: readonly (readonly [Tensor, number])[],
): Promise<void> {
  pool.write(stream, new Uint8Array(pool.numel));
  const pages = tensors.flatMap(([tensor, count]) =>
    Array.from({ length: count }, (_, page) => tensor.slice(0, page, page + 1)),
  );
  const marks = pages.map((page, i) => hostArray(page.dtype, page.numel).fill(0x4000 + i));
  for (const [i, page] of pages.entries())
    copy(stream, stream.fromArray(page.dtype, page.shape, marks[i]!), page);
  for (const [i, page] of pages.entries()) {
    const own = stream.empty(page.dtype, page.shape);
    copy(stream, page, own);
    expect(await own.read(stream)).toEqual(marks[i]);
  }
}
