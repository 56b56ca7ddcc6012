// Contract: the cache of the hub is listed by the names that a load takes, whoever filled it and however broken it is, and a model is removed
// with what nothing else needs.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { listCachedModels, removeCachedModel } from "../../lib/checkpoint/cachedModels.js";

const commits = ["1", "2"].map((digit) => digit.repeat(40)) as [string, string];

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "warploop-cached-"));
  vi.stubEnv("HF_HUB_CACHE", cache);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true, force: true });
});

const folderOf = (id: string) => join(cache, `models--${id.replace("/", "--")}`);

/** @param files content by name; equal contents are one blob */
async function put(
  id: string,
  commit: string,
  ref: string | undefined,
  files: Readonly<Record<string, string>>,
) {
  const folder = folderOf(id);
  const write = async (path: string, text: string) => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  };
  if (ref !== undefined) await write(join(folder, "refs", ref), commit);
  for (const [name, content] of Object.entries(files)) {
    const blob = join(folder, "blobs", Buffer.from(content).toString("hex").slice(0, 60));
    const path = join(folder, "snapshots", commit, name);
    await write(blob, content);
    await mkdir(dirname(path), { recursive: true });
    await symlink(relative(dirname(path), blob), path);
  }
}

const small = { "config.json": "{}", "tokenizer.json": "{ }" };
const names = async () => (await listCachedModels()).models.map(({ name }) => name).sort();
const blobsOf = (id: string) => readdir(join(folderOf(id), "blobs"));

describe("listCachedModels", () => {
  it("is empty where there is no cache", async () => {
    vi.stubEnv("HF_HUB_CACHE", join(cache, "nowhere"));
    expect(await listCachedModels()).toEqual({ folder: join(cache, "nowhere"), models: [], bytes: 0 });
  });

  it("has folders, revisions, quantisations, and what is not all there", async () => {
    await put("org/a", commits[0], "main", { ...small, "model.safetensors": "0123456789" });
    await put("org/a", commits[1], "refs-of/b", { ...small, "model.safetensors": "01234" });
    await put("org/headers", commits[0], undefined, small);
    await put("org/g", commits[0], "main", {
      ...{ "g-Q4_K_M.gguf": "0123", "Q8_0/g-Q8_0-00001-of-00002.gguf": "01", "README.md": "x" },
      ...{ "Q8_0/g-Q8_0-00002-of-00002.gguf": "012" },
    });
    await writeFile(join(folderOf("org/g"), "blobs", "f.incomplete"), "1234567");
    await mkdir(join(cache, "datasets--org--d"));
    await writeFile(join(cache, "models--file"), "");
    await mkdir(join(cache, "models--org--empty"));
    await symlink("../../blobs/gone", join(folderOf("org/a"), "snapshots", commits[0], "gone.json"));
    const { folder, models, bytes } = await listCachedModels();
    expect(folder).toBe(cache);
    // "{}" and "{ }" of org/a are one file each.
    expect(bytes).toBe(10 + 5 + 5 + 5 + (4 + 2 + 3 + 1 + 7));
    const by = new Map(models.map((model) => [model.name, model]));
    expect([...by.keys()].sort()).toEqual([
      ...["org/a", "org/a@refs-of/b", "org/g:Q4_K_M", "org/g:Q8_0", `org/headers@${commits[0]}`],
    ]);
    const snapshot = (id: string, commit: string) => join(folderOf(id), "snapshots", commit);
    expect(by.get("org/a")).toMatchObject({ commit: commits[0], bytes: 15, missing: undefined });
    expect(by.get("org/a")!.path).toBe(snapshot("org/a", commits[0]));
    expect(by.get("org/g:Q8_0")).toMatchObject({ bytes: 5, missing: undefined });
    expect(by.get("org/g:Q8_0")!.path).toMatch(/00001-of-00002\.gguf$/);
    expect(by.get(`org/headers@${commits[0]}`)).toMatchObject({
      ...{ path: undefined, missing: "it lacks model.safetensors" },
    });
  });
});

describe("removeCachedModel", () => {
  it("removes a repository with all that there is of it", async () => {
    await put("org/a", commits[0], "main", { ...small, "model.safetensors": "0123456789" });
    await put("org/b", commits[0], "main", small);
    await writeFile(join(folderOf("org/a"), "blobs", "f.incomplete"), "1234567");
    const found = { folder: folderOf("org/a"), bytes: 22 };
    expect(await removeCachedModel("org/a", { dryRun: true })).toEqual(found);
    expect(existsSync(folderOf("org/a"))).toBe(true);
    expect(await removeCachedModel("org/a")).toEqual(found);
    expect(existsSync(folderOf("org/a"))).toBe(false);
    expect(await names()).toEqual(["org/b"]);
  });

  it("removes a revision, and leaves what another has, too", async () => {
    await put("org/a", commits[0], "main", { ...small, "model.safetensors": "0123456789" });
    await put("org/a", commits[1], "b", { ...small, "model.safetensors": "01234" });
    expect((await removeCachedModel("org/a@b")).bytes).toBe(5);
    expect(await names()).toEqual(["org/a"]);
    expect(await blobsOf("org/a")).toHaveLength(3);
    expect(await readdir(join(folderOf("org/a"), "refs"))).toEqual(["main"]);
    expect((await removeCachedModel(`org/a@${commits[0]}`)).bytes).toBe(15);
    expect(existsSync(folderOf("org/a"))).toBe(false);
  });

  it("removes a quantisation", async () => {
    await put("org/g", commits[0], "main", { "g-Q4_K_M.gguf": "0123", "Q8_0/g-Q8_0.gguf": "01" });
    expect((await removeCachedModel("org/g:q8_0")).bytes).toBe(2);
    expect(await names()).toEqual(["org/g:Q4_K_M"]);
    expect(await readdir(join(folderOf("org/g"), "snapshots", commits[0]))).toEqual(["g-Q4_K_M.gguf"]);
    expect((await removeCachedModel("org/g:Q4_K_M")).bytes).toBe(4);
    expect(existsSync(folderOf("org/g"))).toBe(false);
  });

  it.each(["org/a", "org/a@b"])("%s: leaves what a link leads to outside of the repository", async (id) => {
    const own = join(cache, "somebody's.safetensors");
    await writeFile(own, "0123456789");
    await put("org/a", commits[0], "main", small);
    await put("org/a", commits[1], "b", { "config.json": "{ b }" });
    await symlink(own, join(folderOf("org/a"), "snapshots", commits[1], "model.safetensors"));
    const { bytes } = await removeCachedModel(id);
    expect(existsSync(own)).toBe(true);
    expect(bytes).toBe(id === "org/a" ? 10 : 5);
    expect((await names()).some((name) => name.startsWith("org/a@b"))).toBe(false);
  });

  it("refuses what is not there, and what is no id", async () => {
    await put("org/g", commits[0], "main", { "g-Q4_K_M.gguf": "0123" });
    for (const id of ["org/a", "org/g:Q8_0", "org/g@b"])
      await expect(removeCachedModel(id)).rejects.toMatchObject({ code: "ERR_HUB_NOT_FOUND" });
    for (const id of ["../x", "./models", "org", "org/..", ""])
      await expect(removeCachedModel(id)).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
  });
});
