/**
 * Contract: what quantizeCheckpoint writes loads whatever the source's folder has in it: one shard with an index, links, numbers that JSON
 * lacks; and the folder to write to may be one that is there.
 */
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import { quantizeCheckpoint } from "../../lib/export/quantizeCheckpoint.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

let work: string;
beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), "warploop-export-"));
});
afterAll(() => rm(work, { recursive: true }));

const config = tinyConfig("LlamaForCausalLM", { hidden_size: 64, intermediate_size: 64 });
const tensors = tinyTensors(config);
let count = 0;
const newFolder = (): string => path.join(work, `out-${count++}`);

describe("the folder that is read", () => {
  it("may have one shard and an index", async () => {
    const from = await writeCheckpoint(config, tensors);
    const shard = "model-00001-of-00001.safetensors";
    await rename(path.join(from, "model.safetensors"), path.join(from, shard));
    const weightMap = Object.fromEntries([...tensors.keys()].map((name) => [name, shard]));
    await writeFile(
      path.join(from, "model.safetensors.index.json"),
      JSON.stringify({ weight_map: weightMap }),
    );
    const { folder } = await quantizeCheckpoint(from, newFolder(), { format: "int8" });
    expect(readdirSync(folder).sort()).toEqual(["config.json", "model.safetensors"]);
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.has("model.norm.weight")).toBe(true);
  });

  it("may have links: to files, which are copied; to folders and to nothing, which are not", async () => {
    const from = await writeCheckpoint(config, tensors);
    const file = newFolder();
    await writeFile(file, "text");
    await symlink(file, path.join(from, "LICENSE"));
    await symlink(work, path.join(from, "assets"));
    await symlink(path.join(work, "nowhere"), path.join(from, "README.md"));
    const { folder } = await quantizeCheckpoint(from, newFolder(), { format: "int8" });
    expect(readdirSync(folder).sort()).toEqual(["LICENSE", "config.json", "model.safetensors"]);
    expect(await readFile(path.join(folder, "LICENSE"), "utf8")).toBe("text");
  });

  it("may have Infinity in its config, which stays", async () => {
    const from = await writeCheckpoint(config, tensors);
    const text = JSON.stringify({ ...config, note: "Infinity", time_step_limit: [0, "here"] });
    await writeFile(path.join(from, "config.json"), text.replace('"here"', "Infinity"));
    const { folder } = await quantizeCheckpoint(from, newFolder(), { format: "int8" });
    const written = await readFile(path.join(folder, "config.json"), "utf8");
    expect(written).toMatch(/"time_step_limit": \[\s+0,\s+Infinity\s+\]/);
    expect(written).toContain('"note": "Infinity"');
  });
});

describe("the config that is written", () => {
  it("names stacks of experts among what is no codes", async () => {
    const { folder } = await quantizeCheckpoint(goldenFolder("gpt_oss"), newFolder(), { format: "int8" });
    const text = await readFile(path.join(folder, "config.json"), "utf8");
    const { ignore } = (JSON.parse(text) as { quantization_config: { ignore: string[] } })
      .quantization_config;
    expect(ignore).toContain("model.layers.0.mlp.experts");
    expect(ignore).not.toContain("model.layers.0.self_attn.q_proj");
  });
});

describe("the folder to write to", () => {
  it("may be empty, or a link to one that is; it stays when a run fails", async () => {
    const from = await writeCheckpoint(config, tensors);
    const [to, link] = [newFolder(), newFolder()];
    await mkdir(to);
    await symlink(to, link);
    const abort = new AbortController();
    const onProgress = () => abort.abort(new Error("enough"));
    const ended = { format: "int8", signal: abort.signal, onProgress } as const;
    await expect(quantizeCheckpoint(from, to, ended)).rejects.toThrow("enough");
    expect(readdirSync(to)).toEqual([]);
    await quantizeCheckpoint(from, link, { format: "int8" });
    expect(readdirSync(to).sort()).toEqual(["config.json", "model.safetensors"]);
  });

  it("is a path, in the home folder with ~ as LLM.load takes it", async () => {
    const from = await writeCheckpoint(config, tensors);
    for (const to of [undefined, 3, ""] as readonly unknown[] as readonly string[])
      await expect(quantizeCheckpoint(from, to, { format: "int8" })).rejects.toThrow(
        "to: expected a folder, got",
      );
    vi.stubEnv("HOME", work);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { folder } = await quantizeCheckpoint(from, "~/home", { format: "int8" });
    expect(folder).toBe(path.join(homedir(), "home"));
  });

  it("is no file, and in none, and no link that leads nowhere", async () => {
    const from = await writeCheckpoint(config, tensors);
    const file = newFolder();
    await writeFile(file, "text");
    const link = newFolder();
    await symlink(path.join(work, "nowhere"), link);
    for (const to of [file, path.join(file, "in"), link]) {
      const run = quantizeCheckpoint(from, to, { format: "int8" });
      await expect(run).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
      await expect(run).rejects.toThrow(to);
      expect(existsSync(`${to}.partial`)).toBe(false);
    }
  });
});
