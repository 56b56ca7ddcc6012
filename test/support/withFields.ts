/** Checkpoints whose config says something else. */
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

type Fields = Readonly<Record<string, unknown>>;

/** A copy of a checkpoint whose config says something else; it is removed when the test ends. */
export async function withFields(source: string, fields: Fields): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "warploop-mistake-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await copyFile(join(source, "model.safetensors"), join(folder, "model.safetensors"));
  const config = JSON.parse(await readFile(join(source, "config.json"), "utf8")) as Fields;
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, ...fields }));
  return folder;
}
