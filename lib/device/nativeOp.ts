/** How ops stand in the interface of the addon: what nativeOps.ts, which is generated, is written in. */

/** A native object. Stale and invented handles are refused by the addon (ERR_CLOSED). */
export type Handle = number & { readonly __handle: never };

/** What an argument of an op may be on its way to the addon. */
export type ArgumentKind =
  "tensor" | "tensor or null" | "weight" | "weight or null" | "stored rows" | "number" | "flag";

/** Queues one op on a stream, with the arguments of these kinds in `Native.arguments`. */
export type NativeOp<Kinds extends readonly ArgumentKind[]> = ((stream: Handle) => void) & {
  readonly __kinds?: Kinds; // for the compiler alone
};
