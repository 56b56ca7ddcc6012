/** Short names for literal arrays in test tables. */

export const f64 = (...values: number[]): Float64Array => Float64Array.from(values);
export const i32 = (...values: number[]): Int32Array => Int32Array.from(values);
