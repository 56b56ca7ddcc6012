/** Random weights in every stored format, on the host and on a device. */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { type StoredFormat, StoredRows, type StoredShape } from "../../lib/ops/dequantize.js";
import { blockDecoders, e8m0, type StoredMatrix } from "../reference/storedFormats.js";
import type { OpContext } from "./devices.js";
import { toStorage } from "./dtype.js";
import type { Random } from "./random.js";

export interface StoredOptions {
  readonly format: StoredFormat;
  readonly N: number;
  readonly K: number;
  /** Of formats that leave it open; 0: all inputs. */
  readonly group?: number;
  readonly scaleRows?: number;
  /** Of scales beside the codes, but for mxfp4. Default "f32". */
  readonly scale?: FloatDType;
  readonly zeros?: boolean;
  /** gptq4, gptq8: zero points are stored less 1. */
  readonly version1?: boolean;
  /** Groups in random order, as desc_act has them. */
  readonly gIdx?: boolean;
  /** Values of every f16 d and dmin in blocks, in turn. */
  readonly halves?: readonly number[];
}

export interface RandomStored extends StoredMatrix {
  readonly scaleDType: FloatDType | "u8";
  readonly addToZeros: number;
}

const int32 = (count: number, random: Random): Int32Array =>
  Int32Array.from({ length: count }, () => random.integer(0, 2 ** 16) | (random.integer(0, 2 ** 16) << 16));
const bytes = (count: number, random: Random): Uint8Array =>
  Uint8Array.from({ length: count }, () => random.integer(0, 256));

/** d as in trained files, of either sign, and some that are subnormal in f16. */
function randomHalf(random: Random): number {
  const magnitude = random.uniform() < 0.1 ? 2 ** random.uniform(-24, -14) : 2 ** random.uniform(-8, -5);
  return random.uniform() < 0.3 ? -magnitude : magnitude;
}

function randomBlocks({ format, N, K, halves }: StoredOptions, random: Random): Uint8Array {
  const { bytes: size, inputs, halves: places } = blockDecoders[format]!;
  const codes = bytes(((N * K) / inputs) * size, random);
  let next = 0;
  for (let at = 0; at < codes.length; at += size) {
    for (const place of places) {
      const value = halves ? halves[next++ % halves.length]! : randomHalf(random);
      const [bits = 0] = toStorage("f16", Float64Array.of(value));
      codes[at + place] = bits % 256;
      codes[at + place + 1] = bits >> 8;
    }
    if (format === "mxfp4_gguf") codes[at] = random.uniform() < 0.02 ? 0 : random.integer(118, 124);
  }
  return codes;
}

const codeBytes = ({ format, N, K }: StoredOptions): number =>
  ({
    int8: N * K,
    fp8: N * K,
    packed4: N * Math.ceil(K / 8) * 4,
    packed8: N * Math.ceil(K / 4) * 4,
    gptq4: (K / 8) * N * 4,
    gptq8: K * N,
    awq4: (K * N) / 2,
    mxfp4: (N * K) / 2,
  })[format as "int8"];

/** Words or bytes of zero points: of `groups` groups. */
function randomZeros(options: StoredOptions, groups: number, scales: number, random: Random) {
  const { format, N, zeros } = options;
  if (!zeros) return {};
  if (format === "int8") return { zeros: Int8Array.from(bytes(scales, random)) };
  if (format === "packed8" || format === "gptq8") return { zeros: int32(Math.ceil(N / 4) * groups, random) };
  return { zeros: int32(Math.ceil(N / 8) * groups, random) };
}

/** A random matrix in a stored format. Weights have a size of about 1 / sqrt(K). */
export function randomStored(options: StoredOptions, random: Random): RandomStored {
  const { format, N, K, scaleRows = 1, scale = "f32" } = options;
  const addToZeros = options.version1 ? 1 : 0;
  if (blockDecoders[format]) {
    const group = format === "q6_k" ? 16 : 32;
    const codes = randomBlocks(options, random);
    return { format, N, K, group, scaleRows: 1, codes, scaleDType: "f32", addToZeros };
  }
  const group = format === "mxfp4" ? 32 : options.group || Math.max(K, 1);
  const groups = Math.max(1, Math.ceil(K / group));
  const count = Math.ceil(N / scaleRows) * groups;
  const codes = bytes(codeBytes(options), random);
  if (format === "fp8") codes.forEach((code, i) => (codes[i] = (code & 0x7f) === 0x7f ? code - 1 : code));
  const exponents =
    format === "mxfp4" ? Uint8Array.from({ length: count }, () => random.integer(118, 124)) : undefined;
  const scaleDType = format === "mxfp4" ? "u8" : scale;
  const size = format.endsWith("8") ? (format === "fp8" ? [-13, -8] : [-11, -9]) : [-7, -4];
  const scales = exponents
    ? Float64Array.from(exponents, e8m0)
    : random
        .magnitudes(count, size[0]!, size[1]!, scale)
        .map((value, i) => (i % 3 ? Math.abs(value) : value));
  const order = random.permutation(K);
  const gIdx = options.gIdx ? { gIdx: Int32Array.from(order, (at) => Math.floor(at / group)) } : {};
  const zeros = randomZeros(options, groups, count, random);
  return { format, N, K, group, scaleRows, codes, scales, scaleDType, ...zeros, ...gIdx, addToZeros };
}

/** The bytes of e8m0 exponents. */
const exponentsOf = (scales: Float64Array): Uint8Array => Uint8Array.from(scales, (s) => Math.log2(s) + 127);

/** The matrix on a device; `part` says what of it is meant, and which stored rows of `codes` are there. */
export function storedOnDevice(
  context: OpContext,
  m: RandomStored,
  part: Partial<StoredShape> & { readonly rowOrder?: Int32Array; readonly kOrder?: Int32Array } = {},
  codes: Uint8Array = m.codes,
): StoredRows {
  const { stream } = context;
  const { rowOrder, kOrder, ...shape } = part;
  const scales =
    m.scales &&
    (m.scaleDType === "u8"
      ? stream.fromArray("u8", [m.scales.length], exponentsOf(m.scales))
      : context.tensor(m.scaleDType, [m.scales.length], m.scales));
  const zeros =
    m.zeros &&
    (m.zeros instanceof Int8Array
      ? stream.fromArray("i8", [m.zeros.length], m.zeros)
      : context.integers([m.zeros.length], m.zeros));
  const integers = (values: Int32Array | undefined): Tensor | undefined =>
    values && context.integers([values.length], values);
  const isBlocks = m.scales === undefined || m.format === "mxfp4";
  return new StoredRows(
    {
      ...{ format: m.format as StoredFormat, outputs: m.N, inputs: m.K, scaleRows: m.scaleRows },
      ...(isBlocks ? {} : { group: m.group >= m.K ? 0 : m.group }),
      ...{ addToZeros: m.addToZeros, ...shape },
    },
    {
      codes: stream.fromArray("u8", [codes.length], codes),
      ...{ scales, zeros, gIdx: integers(m.gIdx) },
      ...{ rowOrder: integers(rowOrder), kOrder: integers(kOrder) },
    },
  );
}
