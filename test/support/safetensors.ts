/** Writes safetensors files for tests: correct ones, and ones with any header. */

export interface TensorToWrite {
  /** Dtype name of the format, such as "BF16". */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Encodes tensors one after another in the given order. */
export function encodeSafetensors(tensors: Readonly<Record<string, TensorToWrite>>): Uint8Array {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.length] };
    offset += data.length;
  }
  return encodeRaw(JSON.stringify(header), Buffer.concat(Object.values(tensors).map(({ data }) => data)));
}

/** A file with the given text as header and the given data, whatever they are. */
export function encodeRaw(header: string | Uint8Array, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = typeof header === "string" ? Buffer.from(header) : header;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

type Header = Record<
  string,
  {
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly data_offsets: readonly [number, number];
  }
>;

/** @returns the header, and where the data begins */
function headerOf(file: Uint8Array): { readonly header: Header; readonly start: number } {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...header } = JSON.parse(bytes.toString("utf8", 8, start)) as Header;
  return { header, start };
}

/** The same file, with zeros in the rows of a matrix that are not kept. */
export function withoutRows(file: Uint8Array, tensor: string, keep: (row: number) => boolean): Uint8Array {
  const { header, start } = headerOf(file);
  const bytes = Uint8Array.from(file);
  const { shape, data_offsets } = header[tensor]!;
  const [begin, end] = data_offsets.map((offset) => start + offset) as [number, number];
  const rowBytes = (end - begin) / shape[0]!;
  for (let row = 0; row < shape[0]!; row++)
    if (!keep(row)) bytes.fill(0, begin + row * rowBytes, begin + (row + 1) * rowBytes);
  return bytes;
}

/** A file of some of its tensors. */
export function onlyTensors(file: Uint8Array, keep: (name: string) => boolean): Uint8Array {
  const { header, start } = headerOf(file);
  const kept = Object.entries(header)
    .filter(([name]) => keep(name))
    .map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        return [name, { dtype, shape, data: file.slice(start + begin, start + end) }] as const;
      },
    );
  return encodeSafetensors(Object.fromEntries(kept));
}
