/**
 * Latent attention (lib/nn/mla.ts) in its two forms. Naive: keys and values of every head are made from the latents, then it is attention of
 * many heads. Absorbed: the matrix of keys goes into the queries and that of values behind the result, and all heads look at the latents. The
 * same numbers in another order of sums: how far they lie apart, and which is cheaper for n new tokens behind c that are cached, by the
 * products that they have (docs/kernels/mla_attention.md, "Prompts") and by the clock, in turns in one run.
 *
 *     npm run bench:latent-forms
 */
import { Device, ops, type Stream, Tensor } from "../lib/index.js";
import { benchArgs } from "./support/benchArgs.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";
import { onStream, time } from "./support/timing.js";

benchArgs(import.meta.url, {});

/** Heads; widths: plain and rotated part of keys, values, latents. */
interface Shape {
  readonly H: number;
  readonly Dn: number;
  readonly Dr: number;
  readonly Dv: number;
  readonly R: number;
}
type DType = "f32" | "bf16";
const pageSize = 64;
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

/** Random numbers that bf16 has, in both dtypes. */
function random(stream: Stream, shape: readonly number[], std = 1): Readonly<Record<DType, Tensor>> {
  const numbers = new Float32Array(shape.reduce((count, size) => count * size, 1)).map(() => std * normal());
  const bf16 = ops.cast(stream, stream.fromArray("f32", shape, numbers), "bf16");
  return { bf16, f32: ops.cast(stream, bf16, "f32") };
}

/** Packs [H, N, K], any strides. */
function perHead(stream: Stream, { memory, dtype, shape, strides, byteOffset }: Tensor) {
  const [experts, outputs, inputs] = shape as [number, number, number];
  const stack = ops.emptyGroupedWeight(stream, {
    ...{ experts, outputs, inputs, dtype: dtype as DType, swiglu: false },
  });
  for (let h = 0; h < experts; h++) {
    const start = byteOffset + h * strides[0]! * (dtype === "f32" ? 4 : 2);
    const matrix = Tensor.strided(memory, dtype, [outputs, inputs], strides.slice(1), start);
    ops.packExpert(stream, stack, h, matrix);
  }
  return stack;
}
const view = (x: Tensor, shape: number[], strides: number[]) =>
  Tensor.strided(x.memory, x.dtype, shape, strides, x.byteOffset);

/** Queries of n tokens, latents and rotated keys of L, W_uk and W_uv of each head. */
type Given = readonly [q: Tensor, latent: Tensor, key: Tensor, up: Tensor, down: Tensor];

function inputs(stream: Stream, { H, Dn, Dr, Dv, R }: Shape, n: number, L: number) {
  const tokens = [random(stream, [n, H, Dn + Dr]), random(stream, [L, R]), random(stream, [L, Dr])];
  const matrices = [random(stream, [H, Dn, R], R ** -0.5), random(stream, [H, Dv, R], R ** -0.5)];
  return (dtype: DType) => [...tokens, ...matrices].map((x) => x[dtype]) as unknown as Given;
}

/** Calls of both, [n, H, Dv]: what a step does between the queries and the output. Matrices are packed and latents stored before. */
function forms(stream: Stream, { H, Dn, Dr, R }: Shape, [q, latent, key, up, down]: Given) {
  const [n, L, dtype, values] = [q.size(0), latent.size(0), q.dtype as DType, perHead(stream, down)];
  const scale = (Dn + Dr) ** -0.5;
  const keysOf = perHead(stream, up);
  const naive = (): Tensor => {
    const keys = stream.empty(dtype, [L, H, Dn + Dr]);
    const latents = view(latent, [L, H, R], [R, 0, 1]); // all heads have the same
    ops.headLinear(stream, latents, keysOf, { out: keys.slice(2, 0, Dn) });
    ops.copy(stream, view(key, [L, H, Dr], [Dr, 0, 1]), keys.slice(2, Dn, Dn + Dr));
    return ops.flashAttention(stream, q, keys, ops.headLinear(stream, latents, values), { scale });
  };

  const absorbing = perHead(stream, view(up, [H, R, Dn], [Dn * R, 1, R]));
  const pages = Math.ceil(L / pageSize);
  const kept = stream.empty(dtype, [pages * pageSize, R + Dr]);
  ops.copy(stream, latent, kept.slice(0, 0, L).slice(1, 0, R));
  ops.copy(stream, key, kept.slice(0, 0, L).slice(1, R, R + Dr));
  const i32 = (...numbers: number[]) => stream.fromArray("i32", [numbers.length], Int32Array.from(numbers));
  const table = i32(...Array(pages).keys()).reshape([1, pages]);
  const [row, ends, length] = [i32(0), i32(0, n), i32(L)];
  const absorbed = (): Tensor => {
    const queries = stream.empty(dtype, [n, H, R + Dr]);
    ops.headLinear(stream, q.slice(2, 0, Dn), absorbing, { out: queries.slice(2, 0, R) });
    ops.copy(stream, q.slice(2, Dn, Dn + Dr), queries.slice(2, R, R + Dr));
    const latents = kept.reshape([pages, pageSize, R + Dr]);
    const mixed = ops.mlaAttention(stream, queries, latents, table, row, ends, length, { latent: R, scale });
    return ops.headLinear(stream, mixed, values);
  };
  return { naive, absorbed };
}

/** Multiply-adds of a head. */
function products({ Dn, Dr, Dv, R }: Shape, n: number, c: number) {
  const pairs = n * c + (n * (n + 1)) / 2; // of a query and a key that it sees
  return {
    naive: (c + n) * R * (Dn + Dv) + pairs * (Dn + Dr + Dv),
    absorbed: n * R * (Dn + Dv) + pairs * (2 * R + Dr),
  };
}

async function printErrors(device: Device): Promise<void> {
  console.log("relative error against the naive form in f32\n");
  const shape = { H: 8, Dn: 64, Dr: 32, Dv: 64, R: 256 };
  const rows: string[][] = [];
  for (const L of [1, 16, 128, 512]) {
    await onStream(device, async (stream) => {
      const given = inputs(stream, shape, L, L);
      const all = (["f32", "bf16"] as const).flatMap((dtype) => {
        const { naive, absorbed } = forms(stream, shape, given(dtype));
        return [naive(), absorbed()];
      });
      const [exact, ...others] = await Promise.all(all.map((tensor) => tensor.readFloat32(stream)));
      const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
      const errors = others.map((x) => norm(x.map((value, i) => value - exact![i]!)) / norm(exact!));
      rows.push([`${L}`, ...errors.map((error) => error.toExponential(1))]);
    });
  }
  printTable(["tokens", "absorbed f32", "naive bf16", "absorbed bf16"], rows);
}

const rounds = 3;

async function printCosts(device: Device): Promise<void> {
  const shape = { H: 16, Dn: 128, Dr: 64, Dv: 128, R: 512 }; // DeepSeek V2-Lite
  const crossing = (shape.R * (shape.Dn + shape.Dv)) / (2 * shape.R - shape.Dn - shape.Dv);
  console.log(
    `\none layer of V2-Lite, bf16, on ${device.name}: naive over absorbed, median of ${rounds} turns (range)`,
  );
  console.log(
    `by products naive is cheaper from n = ${crossing.toFixed(0)} on, and below it with few cached\n`,
  );
  const sizes = [1, 32, 128, 256, 512].flatMap((n) => [0, 256, 2048].map((c) => [n, c] as const));
  const rows: string[][] = [];
  for (const [n, c] of sizes) {
    await onStream(device, async (stream) => {
      const { naive, absorbed } = forms(stream, shape, inputs(stream, shape, n, c + n)("bf16"));
      const times: { naive: number; absorbed: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        const us = async (call: () => Tensor) => (await time(stream, call)).medianUs;
        times.push({ naive: await us(naive), absorbed: await us(absorbed) });
      }
      const ratios = times.map((of) => of.naive / of.absorbed);
      const of = products(shape, n, c);
      const range = `(${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`;
      const ms = (form: "naive" | "absorbed") => (median(times.map((each) => each[form])) / 1000).toFixed(2);
      const byProducts = (of.naive / of.absorbed).toFixed(2);
      rows.push([
        `${n}`,
        `${c}`,
        byProducts,
        `${median(ratios).toFixed(2)} ${range}`,
        ms("naive"),
        ms("absorbed"),
      ]);
    });
  }
  printTable(["n", "c", "products", "time", "naive ms", "absorbed ms"], rows);
}

await using device = Device.open("auto");
await printErrors(device);
await printCosts(device);
