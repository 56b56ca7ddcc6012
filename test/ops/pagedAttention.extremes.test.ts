// Contract: what lies at the edges of a sequence: pages of which no query sees a token have any id and are not read, wherever the
// window ends; contexts of 2^28 tokens and of the 2^30 that there can be; every kernel of the device.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";

let device: Device;
beforeAll(() => {
  device = openTestDevice();
});
afterAll(() => device.dispose());

const half = 0x3f00; // 0.5 in bf16
const kernels = openTestDeviceKind() === "cpu" ? [""] : ["hopper", "tiles", "any"];

interface Case {
  /** G: query heads, of one KV head. */
  readonly G: number;
  readonly Lq: number;
  readonly L: number;
  readonly offset?: number;
  readonly window: number;
  readonly Ps: number;
  readonly Dh?: number;
}

/** Attention over values of 0.5 alone; `table`: one row. The distinct results. */
async function attend(stream: Stream, c: Case, table: Int32Array, numPages: number): Promise<number[]> {
  const { G, Lq, L, offset, window, Ps, Dh = 64 } = c;
  const integers = (shape: readonly number[], values: Int32Array) => stream.fromArray("i32", shape, values);
  const halves = (shape: readonly number[]) =>
    stream.fromArray("bf16", shape, new Uint16Array(shape.reduce((a, b) => a * b, 1)).fill(half));
  const out = pagedAttention(
    ...([stream, halves([Lq, G, Dh]), halves([numPages, Ps, 1, Dh]), halves([numPages, Ps, 1, Dh])] as const),
    ...([integers([1, table.length], table), integers([1], Int32Array.of(0))] as const),
    ...([integers([2], Int32Array.of(0, Lq)), integers([1], Int32Array.of(L))] as const),
    { window, ...(offset !== undefined && { queryOffsets: integers([1], Int32Array.of(offset)) }) },
  );
  return [...new Set(await out.readFloat32(stream))];
}

function withKernel(kernel: string): Stream {
  if (kernel === "") return device.createStream();
  return withEnvironment({ WARPLOOP_KERNEL: `pagedAttention:${kernel}` }, () => device.createStream());
}

/** Whether some query sees token j. */
function isSeen({ Lq, L, offset = 0, window }: Case, j: number): boolean {
  const first = L - Lq + offset;
  return j < L && j <= first + Lq - 1 && (window === 0 || j > first - window);
}

/** Windows that end before, at and behind the last key, in its page and in others; narrow, middle and wide tiles. */
const cases: readonly Case[] = [
  { G: 12, Lq: 2, L: 2, offset: 3, window: 1, Ps: 8 },
  { G: 12, Lq: 2, L: 2, offset: 3, window: 1, Ps: 3 },
  { G: 12, Lq: 2, L: 200, offset: 50, window: 50, Ps: 8 },
  { G: 12, Lq: 2, L: 200, offset: 50, window: 49, Ps: 16 },
  { G: 12, Lq: 20, L: 200, offset: 50, window: 10, Ps: 16 },
  { G: 8, Lq: 20, L: 70, offset: 100, window: 5, Ps: 64 },
  { G: 8, Lq: 20, L: 70, offset: 22, window: 3, Ps: 32 },
  { G: 1, Lq: 1, L: 2, offset: 3, window: 1, Ps: 8 },
  { G: 8, Lq: 1, L: 100, offset: 60, window: 20, Ps: 16 },
  ...[126, 127, 128, 129].map((window) => ({ G: 8, Lq: 10, L: 130, offset: 130, window, Ps: 128 })),
  { G: 4, Lq: 40, L: 300, window: 20, Ps: 16 },
];

describe.each(kernels)("pagedAttention on the kernel %s", (kernel) => {
  test.each(cases)("unseen pages: %o", async (c) => {
    const pages = Math.ceil(c.L / c.Ps);
    const table = Int32Array.from({ length: pages }, (_, page) => {
      const tokens = Array.from({ length: c.Ps }, (_, at) => page * c.Ps + at);
      return tokens.some((j) => isSeen(c, j)) ? page : -1;
    });
    const expected = new Set(Array.from({ length: c.Lq }, (_, i) => (seesAny(c, i) ? 0.5 : 0)));
    expect(new Set(await attend(withKernel(kernel), c, table, pages))).toEqual(expected);
  });

  test.each([1, 20, 150].flatMap((Lq) => [2 ** 28, 2 ** 30].map((L) => [Lq, L] as const)))(
    "%i queries behind a context of %i tokens, with a window",
    async (Lq, L) => {
      const Ps = 2 ** 16; // all pages are one
      const c = { G: 1, Lq, L, window: 64, Ps, Dh: 16 };
      expect(await attend(withKernel(kernel), c, new Int32Array(L / Ps), 1)).toEqual([0.5]);
    },
  );

  test("a context of more than 2^30 tokens is refused", async () => {
    const c = { G: 1, Lq: 1, L: 2 ** 30 + 1, window: 64, Ps: 2 ** 16, Dh: 16 };
    await expect(attend(withKernel(kernel), c, new Int32Array(2 ** 14 + 1), 1)).rejects.toThrow(
      "contextLens[0] = 1073741825 puts a query 1073741824 or more tokens away from the first key",
    );
  });
});

/** Whether query i sees a token. */
function seesAny({ Lq, L, offset = 0, window }: Case, i: number): boolean {
  const position = L - Lq + offset + i;
  return Math.min(position, L - 1) > (window === 0 ? -1 : Math.max(position - window, -1));
}

function openTestDeviceKind(): string {
  const opened = openTestDevice();
  const { kind } = opened;
  void opened.dispose();
  return kind;
}
