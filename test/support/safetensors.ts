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
