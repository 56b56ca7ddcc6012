/**
 * A render job as bytes for another thread. A chat may have any number of messages, each with any number of parts: they are
 * copied in steps. What is in a job is not looked at here.
 */
import { DefaultDeserializer, DefaultSerializer } from "node:v8";
import type { Steps } from "../eventLoop.js";
import type { RenderJob } from "./renderJob.js";

/** Messages and parts of their contents that are copied between two yields. */
const itemsPerStep = 64;

/** What follows the job itself: messages, or further parts of the last message; null at the end. */
type Slice = { readonly messages: unknown[] } | { readonly parts: unknown[] } | null;

type Message = Readonly<Record<string, unknown>>;

/**
 * @param job `variables.messages` are read as they are at each step
 * @param check called for a message before it is copied, throws if it must not be
 * @throws what `check` throws, and Error for what cannot be copied
 */
export function* packJob(
  job: RenderJob,
  check: (message: unknown, index: number) => void,
): Steps<Uint8Array> {
  const { messages, ...variables } = job.variables;
  const list = messages as readonly Message[];
  const serializer = new DefaultSerializer();
  const write = (value: RenderJob | Slice): void => void serializer.writeValue(value);
  serializer.writeHeader();
  write({ ...job, variables });
  for (let at = 0; at < list.length; at += itemsPerStep) {
    let slice: unknown[] = [];
    for (let i = at; i < Math.min(at + itemsPerStep, list.length); i++) {
      const message = list[i]!;
      check(message, i);
      const { content } = message;
      if (!Array.isArray(content) || content.length <= itemsPerStep) {
        slice.push(message);
        continue;
      }
      write({ messages: [...slice, { ...message, content: [] }] });
      slice = [];
      for (let part = 0; part < content.length; part += itemsPerStep) {
        write({ parts: content.slice(part, part + itemsPerStep) });
        yield;
      }
    }
    write({ messages: slice });
    yield;
  }
  write(null);
  return serializer.releaseBuffer();
}

/** The job of `packJob`. */
export function unpackJob(bytes: Uint8Array): RenderJob {
  const deserializer = new DefaultDeserializer(bytes);
  deserializer.readHeader();
  const job = deserializer.readValue() as RenderJob;
  const messages: unknown[] = [];
  for (;;) {
    const slice = deserializer.readValue() as Slice;
    if (slice === null) return { ...job, variables: { ...job.variables, messages } };
    if ("messages" in slice) for (const message of slice.messages) messages.push(message);
    else (messages.at(-1) as { content: unknown[] }).content.push(...slice.parts);
  }
}
