// Contract: what a model of the hub is can be said without its weights: configs and headers are read, and nothing else comes.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { inspectModel } from "../../lib/llm/inspectModel.js";
import { type HubServer, repoId, serveFolder } from "../support/hubServer.js";

const folder = "models/tiny-moe";
const options = { device: "cpu", onProgress: false } as const;

let server: HubServer;
let cache: string;
let weights: Buffer;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "warploop-headers-"));
  weights = await readFile(join(folder, "model.safetensors"));
  server = await serveFolder(folder, cache);
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true, force: true });
});

const ofWeights = () => server.fileRequests().filter(({ path }) => path.endsWith(".safetensors"));

describe("inspectModel of a model of the hub", () => {
  test("says what it says of the same files in a folder, from their first bytes", async () => {
    const { path, ...found } = await inspectModel(repoId, options);
    const { path: _, ...local } = await inspectModel(folder, options);
    expect(found).toEqual(local);
    const bytes = ofWeights().map(({ range }) => Number(/^bytes=0-(\d+)$/.exec(range ?? "")?.[1]) + 1);
    expect(bytes).toHaveLength(1);
    expect(bytes[0]).toBeLessThan(weights.length / 10);
    expect(await readdir(path)).not.toContain("model.safetensors");
    // Offline use must not take it for a model that is there.
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(inspectModel(repoId, options)).rejects.toMatchObject({ code: "ERR_HUB_OFFLINE" });
  });

  test("takes the first bytes from a server that sends all of them", async () => {
    server.faults.ignoreRanges = true;
    expect((await inspectModel(repoId, options)).architecture).toBe("Qwen3MoeForCausalLM");
  });

  test("says what went wrong with a file", async () => {
    server.faults.onFile = () => {
      if (ofWeights().length > 0) server.faults.fileStatus = 404;
    };
    await expect(inspectModel(repoId, options)).rejects.toMatchObject({
      code: "ERR_HUB_NOT_FOUND",
      message: expect.stringContaining(`${repoId}@main: model.safetensors: not found`) as string,
    });
  });
});
