/** Headers of safetensors files that lie about the same data: other dtypes, shapes and names, mostly ones that fill the file as well. */
import type { Random } from "./random.js";
import type { TensorToWrite } from "./safetensors.js";

/** A tensor of a header, in the order of the data. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export const entriesOf = (files: Readonly<Record<string, TensorToWrite>>): readonly HeaderEntry[] =>
  Object.entries(files).map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, bytes: data.length }));

/** Dtypes by the bytes of an element. */
const dtypes: Readonly<Record<number, readonly string[]>> = {
  1: ["U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "BOOL"],
  2: ["F16", "BF16", "I16"],
  4: ["I32", "F32", "U32"],
  8: ["I64", "F64"],
};
const endings: readonly string[] = [
  ...[
    "weight",
    "qweight",
    "qzeros",
    "scales",
    "g_idx",
    "bias",
    "weight_packed",
    "weight_scale",
    "weight_shape",
  ],
  ...["weight_zero_point", "weight_g_idx", "weight_scale_inv", "input_scale", "k_scale"],
];

const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

type Mutation = (entry: HeaderEntry, random: Random, all: readonly HeaderEntry[]) => Partial<HeaderEntry>;

const pickOf = <T>(items: readonly T[], random: Random): T => items[random.integer(0, items.length)]!;

const mutations: readonly Mutation[] = [
  // Another dtype of that size.
  ({ shape, bytes }, random) => ({ dtype: pickOf(dtypes[bytes / countOf(shape)] ?? ["U8"], random) }),
  // Elements of another size, as many as fit.
  ({ shape, bytes }, random) => {
    const size = pickOf([1, 2, 4, 8], random);
    const outer = countOf(shape.slice(0, -1));
    return { dtype: pickOf(dtypes[size]!, random), shape: [...shape.slice(0, -1), bytes / outer / size] };
  },
  ({ shape }) => ({ shape: [...shape].reverse() }),
  ({ shape }) => ({ shape: [countOf(shape)] }),
  ({ shape }, random) => ({ shape: random.uniform() < 0.5 ? [1, ...shape] : [...shape, 1] }),
  ({ shape }, random) => {
    const by = pickOf([2, 3, 4, 8], random);
    return { shape: [...shape.slice(0, -1), (shape.at(-1) ?? 1) / by, by] };
  },
  ({ shape: [first = 1, second = 1, ...rest] }, random) => {
    const by = pickOf([2, 4, 8], random);
    return { shape: [first * by, second / by, ...rest] };
  },
  // A size that does not fill the bytes.
  ({ shape }, random) => {
    const at = random.integer(0, shape.length);
    const odd = pickOf([0, 1, -1, 2 ** 31, 2 ** 53, 1e300, random.integer(0, 200)], random);
    return { shape: shape.map((size, axis) => (axis === at ? odd : size)) };
  },
  ({ name }, random) => ({ name: name.replace(/[^.]*$/, () => pickOf(endings, random)) }),
  ({ name }, random) => ({
    name: pickOf(
      [name.replace("model.", ""), name.replace("0", "1"), "rotary_emb.inv_freq", "__proto__"],
      random,
    ),
  }),
  // What another one is: its bytes stay where they are.
  (_, random, all) => {
    const { dtype, shape } = pickOf(all, random);
    return { dtype, shape };
  },
];

/** The entries with one of them changed, or with the names of two exchanged. */
export function mutateEntries(entries: readonly HeaderEntry[], random: Random): readonly HeaderEntry[] {
  const [at, other] = [0, 0].map(() => random.integer(0, entries.length)) as [number, number];
  const [one, two] = [entries[at]!, entries[other]!];
  const isExchange = random.uniform() < 0.1;
  const change = isExchange ? { name: two.name } : pickOf(mutations, random)(one, random, entries);
  return entries.map((entry, i) => {
    if (i === at) return { ...entry, ...change };
    return isExchange && i === other ? { ...entry, name: one.name } : entry;
  });
}

/** The JSON of a header. */
export function headerText(entries: readonly HeaderEntry[]): string {
  let at = 0;
  const fields = entries.map(({ name, dtype, shape, bytes }) => {
    const value = { dtype, shape, data_offsets: [at, (at += bytes)] };
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
  return `{${fields.join(",")}}`;
}
