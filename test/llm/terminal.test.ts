// Contract: a bar per file on a terminal, and not a byte where there is none.
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { createProgressBar } from "../../lib/llm/terminal.js";

function fakeStream(isTTY: boolean) {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk.toString());
      done();
    },
  });
  Object.assign(stream, { isTTY, columns: 120 });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => chunks.join("") };
}

const progress = (file: string, loaded: number) =>
  ({ phase: "download", file, loaded, total: 2_000_000 }) as const;

test("terminal", () => {
  const { stream, text } = fakeStream(true);
  const bar = createProgressBar(stream);
  bar.onProgress(progress("config.json", 0));
  bar.onProgress(progress("config.json", 2_000_000));
  bar.onProgress(progress("model.safetensors", 1_000_000));
  bar.stop();
  bar.stop();
  expect(text()).toMatch(/config\.json .* 100% \| 2\.0\/2\.0 MB/);
  expect(text()).toMatch(/model\.safetensors .* 50% \| 1\.0\/2\.0 MB/);
});

test("no terminal", () => {
  const { stream, text } = fakeStream(false);
  const bar = createProgressBar(stream);
  bar.onProgress(progress("config.json", 1));
  bar.stop();
  expect(text()).toBe("");
});
