/**
 * Latent attention (lib/nn/mla.ts) in its two forms, and how far they lie apart. Naive: keys and values of every head are made from the
 * latents, then it is attention of many heads. Absorbed: the matrix of keys goes into the queries and that of values behind the result, and
 * all heads look at the latents. The same numbers in another order of sums.
 *
 *     npm run bench:latent-forms
 */
import { Device, ops, Tensor } from "../lib/index.js";
import { printTable } from "./support/table.js";

const [H, Dn, Dr, Dv, R] = [8, 64, 32, 64, 256]; // heads; widths: plain and rotated part, values, latents
const [width, scale] = [Dn + Dr, (Dn + Dr) ** -0.5];
await using device = Device.open("auto");
const stream = device.createStream();
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

/** Random numbers that bf16 has, in both dtypes. */
function random(shape: readonly number[], std = 1) {
  const numbers = new Float32Array(shape.reduce((count, size) => count * size, 1)).map(() => std * normal());
  const bf16 = ops.cast(stream, stream.fromArray("f32", shape, numbers), "bf16");
  return { bf16, f32: ops.cast(stream, bf16, "f32") };
}

/** Packs [H, N, K], any strides. */
function perHead({ memory, dtype, shape, strides, byteOffset }: Tensor) {
  const [outputs, inputs] = [shape[1]!, shape[2]!];
  const group = { experts: H, outputs, inputs, dtype: dtype as "f32" | "bf16", swiglu: false };
  const stack = ops.emptyGroupedWeight(stream, group);
  for (let h = 0; h < H; h++) {
    const start = byteOffset + h * strides[0]! * (dtype === "f32" ? 4 : 2);
    const matrix = Tensor.strided(memory, dtype, [outputs, inputs], strides.slice(1), start);
    ops.packExpert(stream, stack, h, matrix);
  }
  return stack;
}
const view = (x: Tensor, shape: number[], strides: number[]) =>
  Tensor.strided(x.memory, x.dtype, shape, strides, x.byteOffset);

function forms(q: Tensor, latent: Tensor, key: Tensor, up: Tensor, down: Tensor): [Tensor, Tensor] {
  const [L, dtype, values] = [q.size(0), q.dtype, perHead(down)];
  const keys = stream.empty(dtype, [L, H, width]);
  const latents = view(latent, [L, H, R], [R, 0, 1]); // all heads have the same
  ops.headLinear(stream, latents, perHead(up), { out: keys.slice(2, 0, Dn) });
  ops.copy(stream, view(key, [L, H, Dr], [Dr, 0, 1]), keys.slice(2, Dn, width));
  const naive = ops.flashAttention(stream, q, keys, ops.headLinear(stream, latents, values), { scale });

  const [queries, kept] = [stream.empty(dtype, [L, H, R + Dr]), stream.empty(dtype, [L, 1, R + Dr])];
  const absorbing = perHead(view(up, [H, R, Dn], [Dn * R, 1, R]));
  ops.headLinear(stream, q.slice(2, 0, Dn), absorbing, { out: queries.slice(2, 0, R) });
  ops.copy(stream, q.slice(2, Dn, width), queries.slice(2, R, R + Dr));
  ops.copy(stream, latent.reshape([L, 1, R]), kept.slice(2, 0, R));
  ops.copy(stream, key.reshape([L, 1, Dr]), kept.slice(2, R, R + Dr));
  const mixed = ops.flashAttention(stream, queries, kept, kept.slice(2, 0, R), { scale });
  return [naive, ops.headLinear(stream, mixed, values)];
}

console.log("relative error against the naive form in f32\n");
const rows: string[][] = [];
for (const L of [1, 16, 128, 512]) {
  const given = [random([L, H, width]), random([L, R]), random([L, Dr])];
  const matrices = [random([H, Dn, R], R ** -0.5), random([H, Dv, R], R ** -0.5)];
  const all = (["f32", "bf16"] as const).flatMap((dtype) => {
    return forms(
      ...([...given, ...matrices].map((x) => x[dtype]) as [Tensor, Tensor, Tensor, Tensor, Tensor]),
    );
  });
  const [exact, ...others] = await Promise.all(all.map((tensor) => tensor.readFloat32(stream)));
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const errors = others.map((x) => norm(x.map((value, i) => value - exact![i]!)) / norm(exact!));
  rows.push([`${L}`, ...errors.map((error) => error.toExponential(1))]);
}
printTable(["tokens", "absorbed f32", "naive bf16", "absorbed bf16"], rows);
