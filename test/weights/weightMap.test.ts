// Contract: resolveWeights turns a table and a checkpoint into a plan, or lists everything that does not fit.
import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../lib/errors.js";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { TensorEntry } from "../../lib/checkpoint/tensorFiles.js";
import { wholeModel } from "../../lib/weights/shard.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import type { WeightRow, WeightTable } from "../../lib/weights/weightTable.js";
import { goldenFolder } from "../support/goldenFolder.js";

/** A checkpoint that exists only as entries: "name" is bf16, or "name:dtype". */
function fake(tensors: Readonly<Record<string, readonly number[]>>) {
  const entries = Object.entries(tensors).map(([key, shape], i): [string, TensorEntry] => {
    const [name = "", dtype = "bf16"] = key.split("#");
    const entry = {
      name,
      dtype: dtype as TensorEntry["dtype"],
      shape,
      file: "f",
      byteOffset: i,
      byteLength: 1,
    };
    return [name, entry];
  });
  return { folder: "folder", tensors: new Map(entries) };
}

const row = (slot: string, name: string, shape: readonly number[]): WeightRow => ({
  slot,
  from: [name],
  shapes: [shape],
});

const embed = row("embed", "model.embed.weight", [8, 4]);
const head: WeightRow = {
  ...row("head", "lm_head.weight", [8, 4]),
  tiedTo: { slot: "embed", when: "missing" },
};
const qkv: WeightRow = {
  slot: "layers.qkv",
  from: ["q", "k", "v"].map((part) => `model.layers.{layer}.${part}.weight`),
  shapes: [
    [6, 4],
    [2, 4],
    [2, 4],
  ],
};
const qkvTensors = (layer: number): Record<string, number[]> => ({
  [`model.layers.${layer}.q.weight`]: [6, 4],
  [`model.layers.${layer}.k.weight`]: [2, 4],
  [`model.layers.${layer}.v.weight`]: [2, 4],
});
const full = { "model.embed.weight": [8, 4], ...qkvTensors(0), ...qkvTensors(1) };
const table: WeightTable = { rows: [embed, qkv], numLayers: 2 };

test("what ranks of experts divide, ranks of heads have whole", () => {
  const [axes, ranks] = [["outputs", "inputs"] as const, "ep" as const];
  const rows = axes.map((axis) => ({ ...row(axis, axis, [6, 4]), split: { axis, ranks } }));
  const shapes = (axis: "tp" | "ep") => {
    const shard = { ...wholeModel, [axis]: { rank: 1, size: 2 } };
    const plan = resolveWeights({ rows, numLayers: 0 }, fake({ outputs: [6, 4], inputs: [6, 4] }), shard);
    return plan.map(({ shape }) => shape.join());
  };
  expect(shapes("ep")).toEqual(["3,4", "6,2"]);
  expect(shapes("tp")).toEqual(["6,4", "6,4"]);
});

function errorOf(wanted: WeightTable, tensors: Readonly<Record<string, readonly number[]>>): CheckpointError {
  try {
    resolveWeights(wanted, fake(tensors));
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT_TENSOR" });
    return error as CheckpointError;
  }
  throw new Error("expected an error");
}

describe("plan", () => {
  test("fusion, layers, order", () => {
    const plan = resolveWeights(table, fake(full));
    expect(plan.map(({ slot, layer, shape }) => [slot, layer, shape])).toEqual([
      ["embed", undefined, [8, 4]],
      ["layers.qkv", 0, [10, 4]],
      ["layers.qkv", 1, [10, 4]],
    ]);
    expect(plan[2]!.parts.map(({ entry }) => entry.name)).toEqual(Object.keys(qkvTensors(1)));
    expect(plan[2]!.tiedTo).toBe(undefined);
    expect(
      plan[2]!.parts.map(({ dtype, module, firstRow, rows }) => [dtype, module, firstRow, rows]),
    ).toEqual([
      ["bf16", "q", 0, 6],
      ["bf16", "k", 6, 2],
      ["bf16", "v", 8, 2],
    ]);
  });

  test("experts are stacked, each with its parts in order", () => {
    const names = ["gate", "up"].map((part) => `layers.{layer}.experts.{expert}.${part}`);
    const shapes = [
      [3, 4],
      [3, 4],
    ];
    const experts: WeightRow = { slot: "layers.gateUp", from: names, shapes, onlyLayers: [1] };
    const stored = ["0.gate", "0.up", "1.gate", "1.up"].map((part) => `layers.1.experts.${part}`);
    const [weight, ...rest] = resolveWeights(
      { rows: [experts], numLayers: 2, numExperts: 2 },
      fake(Object.fromEntries(stored.map((name) => [name, [3, 4]]))),
    );
    expect(rest).toEqual([]);
    expect(weight).toMatchObject({ layer: 1, shape: [2, 6, 4] });
    expect(weight!.parts.map(({ entry }) => entry.name)).toEqual(stored);
    expect(weight!.parts.map(({ expert, firstRow }) => [expert, firstRow])).toEqual([
      [0, 0],
      [0, 3],
      [1, 0],
      [1, 3],
    ]);
  });

  test("transposed matrices", () => {
    const conv: WeightRow = { ...row("layers.fc", "h.{layer}.fc", [4, 16]), transpose: true };
    const [weight] = resolveWeights({ rows: [conv], numLayers: 1 }, fake({ "h.0.fc": [4, 16] }));
    expect(weight!.shape).toEqual([16, 4]);
    expect(weight!.parts).toMatchObject([{ transpose: true, rows: 16, entry: { shape: [4, 16] } }]);
  });

  test.each([
    ["missing head is shared", "missing", full, "embed"],
    ["stored head is used", "missing", { ...full, "lm_head.weight": [8, 4] }, undefined],
    ["stored head is not used", "always", { ...full, "lm_head.weight": [8, 4] }, "embed"],
  ] as const)("tied: %s", (_name, when, tensors, tiedTo) => {
    const tied: WeightRow = { ...head, tiedTo: { slot: "embed", when } };
    const plan = resolveWeights({ ...table, rows: [tied, embed, qkv] }, fake(tensors));
    expect(plan[0]).toMatchObject({ slot: "head", tiedTo, shape: [8, 4] });
    expect(plan[0]!.parts.length).toBe(tiedTo === undefined ? 1 : 0);
  });

  test("parts of one weight in two dtypes", () => {
    const { "model.layers.0.k.weight": shape, ...rest } = qkvTensors(0);
    const [weight] = resolveWeights(
      { rows: [qkv], numLayers: 1 },
      fake({ ...rest, "model.layers.0.k.weight#f32": shape! }),
    );
    expect(weight!.parts.map(({ module, dtype }) => [module, dtype])).toEqual([
      ["q", "bf16"],
      ["k", "f32"],
      ["v", "bf16"],
    ]);
  });

  test("other prefixes", () => {
    const tensors = Object.fromEntries(Object.entries(full).map(([name, shape]) => [name.slice(6), shape]));
    const plan = resolveWeights(
      { ...table, prefixAlternatives: [{ from: "model.", to: "" }] },
      fake(tensors),
    );
    expect(plan[1]!.parts[0]!.entry.name).toBe("layers.0.q.weight");
  });

  test("harmless buffers and ignored tensors", () => {
    const buffers = {
      "model.layers.0.self_attn.rotary_emb.inv_freq": [2],
      "transformer.h.0.attn.bias#u8": [1],
      "h.0.attn.masked_bias": [],
      "model.layers.2.extra.weight#unsupported:I64": [1],
    };
    const plan = resolveWeights(
      { ...table, ignored: [/^model\.layers\.2\./] },
      fake({ ...full, ...buffers }),
    );
    expect(plan.length).toBe(3);
  });
});

describe("problems of the checkpoint", () => {
  test("missing, wrong and unexpected tensors in one error", () => {
    const error = errorOf(table, {
      ...qkvTensors(0),
      "model.layers.1.q.weight": [4, 6],
      "model.layers.1.k.weight": [2, 4],
      "other.weight": [1],
      "h.0.attn.c_attn.bias": [1],
    });
    expect(error.message).toBe(
      "folder: the tensors do not fit the model: 2 missing: model.embed.weight, model.layers.1.v.weight; " +
        "1 wrong: model.layers.1.q.weight (shape: expected [6, 4], got [4, 6]); " +
        "2 unexpected: other.weight, h.0.attn.c_attn.bias",
    );
    expect(error).toMatchObject({ file: "f", tensor: "model.layers.1.q.weight" });
  });

  test("ten names, then a number", () => {
    const error = errorOf({ rows: [qkv], numLayers: 5 }, {});
    expect(error.message).toMatch(/15 missing: (?:[\w.]+, ){9}[\w.]+ and 5 more$/);
    expect(error.tensor).toBe("model.layers.0.q.weight");
  });

  test("more layers than configured are unexpected", () => {
    expect(errorOf({ ...table, numLayers: 1 }, full).message).toMatch(
      /: 3 unexpected: model.layers.1.q.weight,/,
    );
  });

  test.each([
    ["integer weight", "i8", /dtype: expected f32, f16 or bf16, got i8/],
    ["unsupported dtype", "unsupported:F64", /dtype: expected f32, f16 or bf16, got F64\b/],
  ])("dtype: %s", (_name, dtype, message) => {
    expect(
      errorOf({ rows: [embed], numLayers: 0 }, { [`model.embed.weight#${dtype}`]: [8, 4] }).message,
    ).toMatch(message);
  });

  test("stacked experts: named once, with the shape of all", () => {
    const rows: WeightRow[] = [{ ...row("down", "down.weight", [2, 4]), stacked: true }];
    const stacked = { rows, numLayers: 0, numExperts: 3 };
    expect(errorOf(stacked, {}).message).toMatch(/: 1 missing: down.weight$/);
    expect(errorOf(stacked, { "down.weight": [2, 4] }).message).toMatch(
      /: 1 wrong: down.weight \(shape: expected \[3, 2, 4\], got \[2, 4\]\)$/,
    );
    expect(resolveWeights(stacked, fake({ "down.weight": [3, 2, 4] }))).toMatchObject([{ shape: [3, 2, 4] }]);
  });

  test("experts with two dtypes", () => {
    const rows = [row("down", "{expert}.down.weight", [2, 4])];
    const stored = { "0.down.weight": [2, 4], "1.down.weight#f32": [2, 4] };
    expect(errorOf({ rows, numLayers: 0, numExperts: 2 }, stored).message).toMatch(
      /1.down.weight \(dtype: expected bf16 as in 0.down.weight, got f32\)/,
    );
  });
});

describe("mistakes of a table", () => {
  const mistakes: readonly (readonly [string, Partial<WeightTable>, RegExp])[] = [
    ["two equal slots", { rows: [embed, embed] }, /not unique/],
    [
      "too few shapes",
      { rows: [{ ...qkv, shapes: [[6, 4]] }] },
      /expected one for each of the 3 names, got 1/,
    ],
    [
      "layer in one name only",
      { rows: [{ ...qkv, from: ["a", "b", "c.{layer}"] }] },
      /in all names or in none/,
    ],
    ["no number of experts", { rows: [row("e", "e.{expert}", [1])] }, /numExperts is not set/],
    [
      "widths that differ",
      {
        rows: [
          {
            ...qkv,
            shapes: [
              [1, 2],
              [1, 3],
              [1, 2],
            ],
          },
        ],
      },
      /differ beyond axis 0/,
    ],
    [
      "transposed vector",
      { rows: [{ ...embed, shapes: [[8]], transpose: true }] },
      /transpose of a non-matrix/,
    ],
    ["stacked, without their number", { rows: [{ ...embed, stacked: true }] }, /numExperts is not set/],
    [
      "stacked, and by names",
      { rows: [{ ...row("e", "e.{expert}", [1]), stacked: true }], numExperts: 2 },
      /stacked with/,
    ],
    ["a matrix with map", { rows: [{ ...embed, map: (x) => x }] }, /map of more than a vector/],
    [
      "too many views",
      { rows: [{ ...embed, rowViews: [undefined, undefined] }] },
      /expected one for each of the 1 names, got 2/,
    ],
    [
      "axes that are not the rows",
      { rows: [{ ...embed, rowViews: [{ axes: [3, 2] }] }] },
      /whose product is 8, got \[3, 2\]/,
    ],
    [
      "an axis twice",
      { rows: [{ ...embed, rowViews: [{ axes: [4, 2], order: [1, 1] }] }] },
      /each axis once/,
    ],
    [
      "indices outside",
      { rows: [{ ...embed, rowViews: [{ axes: [4, 2], take: { axis: 1, start: 1, end: 3 } }] }] },
      /take: outside its axis/,
    ],
    [
      "split by rows of views",
      { rows: [{ ...embed, rowViews: [{ axes: [4, 2], order: [1, 0] }], split: { axis: "outputs" } }] },
      /split by outputs that do not lie along the first axis/,
    ],
    [
      "inputs of a vector",
      { rows: [{ ...row("b", "b", [8]), split: { axis: "inputs" } }] },
      /of a non-matrix/,
    ],
    ["experts of a matrix", { rows: [{ ...embed, split: { axis: "experts" } }] }, /without experts/],
    [
      "a matrix that is added to a sum",
      { rows: [{ ...embed, split: { axis: "sum" } }] },
      /sum of more than a vector/,
    ],
    ["stage of layers", { rows: [{ ...qkv, stage: "first" }] }, /stage of a weight of layers/],
    ["onlyLayers outside layers", { rows: [{ ...embed, onlyLayers: [0] }] }, /onlyLayers without/],
    ["tied to nothing", { rows: [head] }, /tiedTo: expected another slot/],
  ];
  test.each(mistakes)("%s", (_name, wrong, message) => {
    const resolve = (): unknown => resolveWeights({ ...table, ...wrong }, fake({}));
    expect(resolve).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: expect.stringMatching(message) }),
    );
  });
});

describe("golden checkpoints", () => {
  const gpt2: readonly WeightRow[] = [
    row("embed", "transformer.wte.weight", [384, 128]),
    row("positions", "transformer.wpe.weight", [256, 128]),
    { ...row("head", "lm_head.weight", [384, 128]), tiedTo: { slot: "embed", when: "missing" } },
    ...["ln_1", "ln_2"].flatMap((norm) => [
      row(`layers.${norm}.weight`, `transformer.h.{layer}.${norm}.weight`, [128]),
      row(`layers.${norm}.bias`, `transformer.h.{layer}.${norm}.bias`, [128]),
    ]),
    ...(
      [
        ["attn.c_attn", 128, 384],
        ["attn.c_proj", 128, 128],
        ["mlp.c_fc", 128, 512],
        ["mlp.c_proj", 512, 128],
      ] as const
    ).flatMap(([name, numIn, numOut]): WeightRow[] => [
      { ...row(`layers.${name}`, `transformer.h.{layer}.${name}.weight`, [numIn, numOut]), transpose: true },
      row(`layers.${name}.bias`, `transformer.h.{layer}.${name}.bias`, [numOut]),
    ]),
    row("norm.weight", "transformer.ln_f.weight", [128]),
    row("norm.bias", "transformer.ln_f.bias", [128]),
  ];
  const attention: readonly WeightRow[] = [
    row("embed", "model.embed_tokens.weight", [384, 128]),
    row("head", "lm_head.weight", [384, 128]),
    row("norm", "model.norm.weight", [128]),
    row("layers.norm1", "model.layers.{layer}.input_layernorm.weight", [128]),
    row("layers.norm2", "model.layers.{layer}.post_attention_layernorm.weight", [128]),
    {
      slot: "layers.qkv",
      from: ["q", "k", "v"].map((part) => `model.layers.{layer}.self_attn.${part}_proj.weight`),
      shapes: [
        [256, 128],
        [128, 128],
        [128, 128],
      ],
    },
    row("layers.out", "model.layers.{layer}.self_attn.o_proj.weight", [128, 256]),
  ];
  const expert = (part: string): string =>
    `model.layers.{layer}.block_sparse_moe.experts.{expert}.${part}.weight`;
  const mixtral: readonly WeightRow[] = [
    ...attention,
    row("layers.router", "model.layers.{layer}.block_sparse_moe.gate.weight", [4, 128]),
    {
      slot: "layers.gateUp",
      from: [expert("w1"), expert("w3")],
      shapes: [
        [96, 128],
        [96, 128],
      ],
    },
    row("layers.down", expert("w2"), [128, 96]),
  ];

  test.each([
    ["gpt2", gpt2],
    ["mixtral", mixtral],
  ])("%s: every byte of the file is planned once", async (family, rows) => {
    await using checkpoint = await openCheckpoint(goldenFolder(family));
    const plan = resolveWeights({ rows, numLayers: 2, numExperts: 4 }, checkpoint);
    const parts = plan.flatMap((weight) => weight.parts.map(({ entry }) => entry));
    expect(new Set(parts)).toEqual(new Set(checkpoint.tensors.values()));
    for (const { parts: own, shape, tiedTo } of plan) {
      const numBytes = own.reduce((sum, { entry }) => sum + entry.byteLength, 0);
      if (tiedTo === undefined) expect(numBytes).toBe(2 * shape.reduce((product, size) => product * size, 1));
    }
  });
});
