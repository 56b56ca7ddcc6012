/**
 * Contract: no op counts elements in 32 bits: contiguous tensors of more than 2^32 elements, of which the grids run their last
 * blocks only. The last rows have the bits that they have by themselves.
 */
import { expect } from "vitest";
import type { DType } from "../../lib/device/dtype.js";
import { native } from "../../lib/device/native.js";
import { add } from "../../lib/ops/add.js";
import { cast } from "../../lib/ops/cast.js";
import { copy } from "../../lib/ops/copy.js";
import { embedding } from "../../lib/ops/embedding.js";
import { geluMul } from "../../lib/ops/geluMul.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { layerNorm } from "../../lib/ops/layerNorm.js";
import { moeCombine } from "../../lib/ops/moeCombine.js";
import { moeRoute } from "../../lib/ops/moeRoute.js";
import { type LinearWeight, packLinear } from "../../lib/ops/packLinear.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { rope } from "../../lib/ops/rope.js";
import { siluMul } from "../../lib/ops/siluMul.js";
import { softmax } from "../../lib/ops/softmax.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { describeOp, type OpCase } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

process.env["WARPLOOP_SIMT_MEMORY"] = String(2 ** 43); // asked at each allocation

/** Rows that are looked at. */
const last = 3;
/** Their blocks also read the ids of so many threes of rows before them. */
const blockRows = 4096;

/** Tensors of `rows` rows; only the last ones have contents. */
class LongTensors {
  readonly #owned: Tensor[] = [];
  readonly #random = new Random(23);

  constructor(
    readonly stream: Stream,
    readonly rows: number,
  ) {}

  /** [rows, ...shape] */
  empty(dtype: DType, shape: readonly number[]): Tensor {
    const tensor = this.stream.device.empty(dtype, [this.rows, ...shape]);
    this.#owned.push(tensor);
    return tensor;
  }
  normal(dtype: FloatDType, shape: readonly number[]): Tensor {
    return this.#fill(this.empty(dtype, shape), (count) =>
      toStorage(dtype, this.#random.normal(count, { dtype })),
    );
  }
  /** [rows], i32: the last of them 0, 1, 2; those before are the same again, as many as asked for. */
  counted(more = 0): Tensor {
    const tensor = this.empty("i32", []);
    const count = Math.min(last + 3 * more, this.rows);
    const values = Int32Array.from({ length: count }, (_, i) => i % 3);
    tensor.slice(0, this.rows - count, this.rows).write(this.stream, values);
    return tensor;
  }
  /** [rows, width], of which the first ones have contents. */
  withFirst(dtype: FloatDType, width: number): Tensor {
    const tensor = this.empty(dtype, [width]);
    const values = toStorage(dtype, this.#random.normal(last * width, { dtype }));
    tensor.slice(0, 0, last).reshape([-1]).write(this.stream, values);
    return tensor;
  }
  /** [count, rows] */
  columns(dtype: FloatDType, count: number): Tensor {
    const tensor = this.stream.device.empty(dtype, [count, this.rows]);
    this.#owned.push(tensor);
    for (let row = 0; row < count; row++) {
      const end = tensor
        .slice(0, row, row + 1)
        .reshape([-1])
        .slice(0, this.rows - last, this.rows);
      end.write(this.stream, toStorage(dtype, this.#random.normal(last, { dtype })));
    }
    return tensor;
  }
  /** The last rows of a packed weight, which are plain rows on a GPU. */
  lastPacked({ segments, inputs }: LinearWeight): Tensor {
    const { data } = segments[0]!;
    this.#owned.push(data);
    return data
      .reshape([-1, inputs])
      .slice(0, this.rows - last, this.rows)
      .reshape([-1]);
  }
  /** The last rows; of another tensor all of them. */
  async read(tensor: Tensor): Promise<number[]> {
    return Array.from(await (tensor.size(0) === this.rows ? this.#last(tensor) : tensor).read(this.stream));
  }
  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }

  #fill(tensor: Tensor, values: (count: number) => Float32Array | Uint16Array | Int32Array): Tensor {
    const rows = this.#last(tensor);
    rows.write(this.stream, values(rows.numel));
    return tensor;
  }
  #last(tensor: Tensor): Tensor {
    return tensor.slice(0, this.rows - last, this.rows).reshape([-1]);
  }
}

interface LongCase extends OpCase {
  /** Rows of the long tensors: so many that they have more than 2^31 of what the kernel counts (elements, vectors, rows). */
  readonly rows: number;
  readonly run: (t: LongTensors) => readonly Tensor[];
}

const others = { cpu: "computes all of it", cuda: "needs more memory than a GPU has" };
const long = (name: string, rows: number, run: LongCase["run"]): LongCase => ({
  ...{ name, rows: Math.floor(rows) + 5, run },
  skip: others,
});
/** An odd number of rows of odd width is moved element by element. */
const [narrow, wide, twoTo31] = [3, 40, 2 ** 31];
const single = (name: string, run: LongCase["run"]) => long(name, (twoTo31 / narrow / 2) * 2 + 2, run);
const table = (t: LongTensors, dtype: FloatDType, shape: readonly number[]) =>
  t.stream.fromArray(dtype, shape, toStorage(dtype, new Random(24).normal(shape[0]! * shape[1]!, { dtype })));

const cases: readonly LongCase[] = [
  single("add", (t) => [
    add(t.stream, t.normal("bf16", [narrow]), t.normal("bf16", [narrow]), { out: t.empty("bf16", [narrow]) }),
  ]),
  single("cast", (t) => [
    cast(t.stream, t.normal("bf16", [narrow]), "f16", { out: t.empty("f16", [narrow]) }),
  ]),
  single("copy", (t) => [copy(t.stream, t.normal("bf16", [narrow]), t.empty("bf16", [narrow]))]),
  long("copy of vectors", (twoTo31 / wide) * 4, (t) => [
    copy(t.stream, t.normal("f32", [wide]), t.empty("f32", [wide])),
  ]),
  single("embedding", (t) => [
    embedding(t.stream, t.counted(blockRows), table(t, "bf16", [last, narrow]), {
      out: t.empty("f32", [narrow]),
    }),
  ]),
  single("siluMul", (t) => [
    siluMul(t.stream, t.normal("bf16", [2 * narrow]), { out: t.empty("bf16", [narrow]) }),
  ]),
  single("geluMul", (t) => [
    geluMul(t.stream, t.normal("bf16", [2 * narrow]), {
      approximate: "tanh",
      out: t.empty("bf16", [narrow]),
    }),
  ]),
  ...[narrow, wide].flatMap((width) => [
    long(`softmax, rows of ${width}`, (twoTo31 / width) * 2, (t) => [
      softmax(t.stream, t.normal("bf16", [width]), { out: t.empty("bf16", [width]) }),
    ]),
    long(`rmsNorm, heads of ${width}`, twoTo31 / 8, (t) => [
      rmsNorm(t.stream, t.normal("bf16", [9, width]), table(t, "f32", [1, width]).reshape([width]), {
        out: t.empty("bf16", [9, width]),
      }),
    ]),
    long(`layerNorm, rows of ${width}`, (twoTo31 / width) * 2, (t) => {
      const [weight, bias] = [table(t, "f32", [1, width]), table(t, "f32", [1, width])];
      const out = t.empty("bf16", [width]);
      return [
        layerNorm(t.stream, t.normal("bf16", [width]), weight.reshape([width]), bias.reshape([width]), {
          out,
        }),
      ];
    }),
  ]),
  ...[true, false].map((withKeys) =>
    long(`rope, the last blocks are those of ${withKeys ? "k" : "q"}`, twoTo31 / 3, (t) => {
      const [q, k] = [t.normal("bf16", [1, 6]), withKeys ? t.normal("bf16", [1, 6]) : null];
      rope(t.stream, q, k, t.counted(blockRows), table(t, "f32", [last, 6]));
      return [k ?? q];
    }),
  ),
  long("kvStore", twoTo31 / 3, (t) => {
    const pages = ["k", "v"].map(() => table(t, "bf16", [4, 3]).reshape([2, 2, 1, 3])) as [Tensor, Tensor];
    kvStore(t.stream, t.normal("bf16", [1, 3]), t.normal("bf16", [1, 3]), ...pages, t.counted());
    return [pages[1]]; // the last blocks are those of v; other slots are -1
  }),
  long("moeCombine", (twoTo31 / wide) * 8, (t) => {
    const [y, weights] = [t.withFirst("bf16", wide), t.normal("f32", [1])];
    const inverse = t.counted(blockRows).reshape([t.rows, 1]);
    return [moeCombine(t.stream, y, inverse, weights, { out: t.empty("bf16", [wide]) })];
  }),
  long("packLinear", (twoTo31 / wide) * 2, (t) => [
    t.lastPacked(packLinear(t.stream, t.normal("bf16", [wide]))),
  ]),
  long("packLinear, transposed", (twoTo31 / wide) * 2, (t) => [
    t.lastPacked(packLinear(t.stream, t.columns("bf16", wide), { transpose: true })),
  ]),
  long("moeRoute", twoTo31 / 8, (t) => {
    const out = { weights: t.empty("f32", [8]), experts: t.empty("i32", [8]) };
    moeRoute(t.stream, t.normal("bf16", [9]), { topK: 8, scores: "softmax", renormalize: true, out });
    return [out.weights, out.experts];
  }),
];

describeOp("far offsets: long tensors", cases, async ({ stream }, { rows, run }) => {
  const [long, short] = [new LongTensors(stream, rows), new LongTensors(stream, last)];
  const results = [];
  native.runLastBlocks?.(8);
  try {
    for (const tensors of [long, short]) {
      const written = run(tensors);
      results.push(await Promise.all(written.map((tensor) => tensors.read(tensor))));
    }
  } finally {
    native.runLastBlocks?.(0);
    for (const tensors of [long, short]) tensors.dispose();
  }
  expect(results[0]).toEqual(results[1]);
});
