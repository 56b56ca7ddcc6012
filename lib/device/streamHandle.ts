/**
 * The stream argument of calls that work on memory: that it is a stream, is open, and is one of the memory's device.
 */
import { describe, readArguments } from "../arguments.js";
import { ArgumentTypeError } from "../errors.js";
import type { Handle } from "./native.js";

/** The native handle of a stream. @throws ArgumentTypeError when it is none; ClosedError after its dispose */
export function streamHandle(
  what: string,
  stream: { readonly handle: Handle; readonly device: NamedDevice },
  device: NamedDevice,
): Handle {
  const handle: unknown = readArguments(
    `${what}: stream`,
    () => (stream as typeof stream | null | undefined)?.handle,
  );
  if (typeof handle !== "number")
    throw new ArgumentTypeError(`${what}: stream: expected a Stream, got ${describe(stream)}`);
  if (stream.device !== device) throw otherDevice(what, device, stream.device);
  return handle as Handle;
}

interface NamedDevice {
  readonly name: string;
}

/** The error for memory of one device that is handed to a stream of another, which could not reach it, or not in order. */
export function otherDevice(what: string, memory: NamedDevice, stream: NamedDevice): ArgumentTypeError {
  const both =
    memory.name === stream.name
      ? `which is ${memory.name} opened twice`
      : `${memory.name} and ${stream.name}`;
  return new ArgumentTypeError(`${what}: the tensor and the stream are of different devices, ${both}`);
}
