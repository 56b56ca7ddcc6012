/**
 * The tiles of the GPU's kernels, read from their sources, so that cases at the borders of tiles follow them; and the sizes at
 * such a border. The CPU device runs the same cases: its tiles (multiples of 6, 12, 16 and 64) are among them.
 */
import { readFileSync } from "node:fs";

/** A tile's size, and one and two either side of it. */
export const around = (size: number): number[] => [-2, -1, 0, 1, 2].map((more) => size + more);

export interface AttentionTiles {
  readonly kernel: "hopper" | "tiles" | "any";
  readonly Dh: number;
  readonly Dv: number;
  /** Rows and keys of a tile. */
  readonly rows: number;
  readonly keys: number;
}

export interface ProductTiles {
  /** As WARPLOOP_KERNEL names it. */
  readonly name: string;
  /** Rows and columns of a tile; of all blocks of a cluster. */
  readonly rows: number;
  readonly columns: number;
  /** Rows that one block of a cluster has. */
  readonly blockRows: number;
}

function matches(path: string, pattern: RegExp): number[][] {
  const text = readFileSync(new URL(`../../native/${path}`, import.meta.url), "utf8");
  const found = [...text.matchAll(pattern)].map(([, ...groups]) => groups.map(Number));
  if (found.length === 0) throw new Error(`${path} has nothing like ${pattern.source}: tiles have moved`);
  return found;
}

const instances = [64, 128, 192, 256].map((width) => `cuda/attention/instances/bf16_${width}.cu`);

/** Of Hopper for each width of heads those of middle tiles, then those of wide ones. */
export const attentionTiles: readonly AttentionTiles[] = [
  ...instances
    .flatMap((path) =>
      matches(path.replace(".cu", ".sm90.cu"), /HopperShape<bf16, (\d+), (\d+), (\d+), (\d+)>/g),
    )
    .map(
      ([Dh, Dv, keys, consumers]) =>
        ({ kernel: "hopper", Dh: Dh!, Dv: Dv!, keys: keys!, rows: 64 * consumers! }) as const,
    ),
  ...instances
    .flatMap((path) => matches(path, /WideShape<bf16, (\d+), (\d+), (\d+), (\d+), \d+>/g))
    .map(
      ([Dh, Dv, blocks, keys]) =>
        ({ kernel: "tiles", Dh: Dh!, Dv: Dv!, keys: keys!, rows: 64 * blocks! }) as const,
    ),
  {
    kernel: "any",
    Dh: 32,
    Dv: 32,
    keys: matches("cuda/attention/any.cuh", /kAnyKeys = (\d+);/g)[0]![0]!,
    rows: 16,
  },
];

/** A sequence of at most so many rows (queries times heads of a KV head) is a tile of the narrow kernel. */
export const narrowRows = matches("cuda/attention/items.cuh", /kNarrowRows = (\d+);/g)[0]![0]!;
const [[shortKeys, shortSpan, middleKeys, middleSpan, longSpan]] = matches(
  "core/attention_plan.h",
  /keys <= (\d+) \? (\d+) : keys <= (\d+) \? (\d+) : (\d+);/g,
) as [[number, number, number, number, number]];
/** Keys after which the sums of a narrow tile begin anew, and the longest sequences for which that holds. */
export const narrowSpans = [
  { span: shortSpan, keys: shortKeys },
  { span: middleSpan, keys: middleKeys },
  { span: longSpan, keys: Infinity },
] as const;
/** Spans whose sums are added before they are added to those of others. */
export const groupSpans = matches("cuda/attention/items.cuh", /kGroupSpans = (\d+);/g)[0]![0]!;
/** Sequences that the plan looks at together. */
export const planThreads = matches("cuda/attention/plan.cuh", /kPlanThreads = (\d+);/g)[0]![0]!;

export const portableProducts: readonly ProductTiles[] = matches(
  "cuda/gemm/schedule.h",
  /using (?:Stream|Tile)(\d+)x(\d+) =/g,
).map(([rows, columns]) => ({
  name: `${rows}x${columns}`,
  rows: rows!,
  columns: columns!,
  blockRows: rows!,
}));

/** Tiles whose K is shared by the blocks of a cluster: each of those has as many rows as the cluster. */
export const splitProducts: readonly ProductTiles[] = matches(
  "ops/linear/linear.split.sm90.cu",
  /SplitTile<T, (\d+), (\d+), (\d+), \d+>/g,
).map(([rows, columns, splits]) => ({
  name: `h${rows}x${columns}k${splits}`,
  rows: rows!,
  columns: columns!,
  blockRows: rows!,
}));

export const hopperProducts: readonly ProductTiles[] = [
  ...matches("ops/linear/linear.sm90.cu", /LinearTile<T, (\d+), (\d+), (\d+), \d+>/g).map(
    ([rows, columns, cluster]) => ({
      name: `h${rows}x${columns}`,
      rows: rows! * cluster!,
      columns: columns!,
      blockRows: rows!,
    }),
  ),
  ...splitProducts,
];

/** Of groupedLinear's Hopper kernels for many rows, without names: the number of rows chooses them. */
export const hopperGrouped: readonly ProductTiles[] = matches(
  "ops/grouped_linear/grouped_linear.sm90.cu",
  /RowTile<T, (\d+), (\d+), (\d+), \d+, 1>/g,
).map(([rows, columns, cluster]) => ({
  name: "",
  rows: rows! * cluster!,
  columns: columns!,
  blockRows: rows!,
}));
