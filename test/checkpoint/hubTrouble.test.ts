// Contract: a hub that sends listings without end, a full disk and a cache folder that cannot be used are typed errors, and the
// address of a page of the hub is as good as an id. Other ways in which people write folders and ids.
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HubError } from "../../lib/errors.js";
import { resolveModel } from "../../lib/checkpoint/hub.js";
import { commit, HubServer, repoId } from "../support/hubServer.js";
import { encodeSafetensors } from "../support/safetensors.js";

const weights = encodeSafetensors({ a: { dtype: "U8", shape: [3000], data: new Uint8Array(3000).fill(7) } });
let cache: string;
let stop: () => Promise<unknown>;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "warploop-hub-"));
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  vi.stubEnv("HF_TOKEN", undefined);
});
afterEach(async () => {
  await stop();
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true, force: true });
});

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

async function serveTiny(): Promise<HubServer> {
  const server = new HubServer({ "config.json": Buffer.from("{}"), "model.safetensors": weights });
  vi.stubEnv("HF_ENDPOINT", await server.start());
  stop = () => server.stop().catch(() => undefined);
  return server;
}

/** A hub that knows the commit and answers the listing as told. */
async function serveListing(listing: RequestListener): Promise<void> {
  const server: Server = createServer((request, response) => {
    if (request.url?.includes("/tree/")) return void listing(request, response);
    response.writeHead(200, { "Content-Type": "application/json" });
    const lastModified = "2024-01-01T00:00:00.000Z";
    response.end(JSON.stringify({ _id: "1", id: repoId, sha: commit, lastModified }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
}

describe("a listing", () => {
  test("of pages without end", async () => {
    let pages = 0;
    await serveListing((request, response) => {
      pages++;
      const next = `http://${request.headers.host}/api/models/${repoId}/tree/${commit}?cursor=${pages}`;
      response.writeHead(200, { "Content-Type": "application/json", Link: `<${next}>; rel="next"` });
      response.end("[]");
    });
    const error = await errorOf(resolveModel(repoId));
    expect(error).toBeInstanceOf(HubError);
    expect(error).toMatchObject({
      code: "ERR_HUB_NETWORK",
      message: expect.stringContaining("pages") as string,
    });
    expect(pages).toBeLessThan(1000);
  });

  const blank = Buffer.alloc(16_000_000, " ");
  test.each([
    { name: "of bytes without end", headers: {}, piece: blank },
    {
      name: "of few bytes that unpack to many",
      headers: { "Content-Encoding": "gzip" },
      piece: gzipSync(blank),
    },
  ])("$name", async ({ headers, piece }) => {
    let sent = 0;
    await serveListing((_, response) => {
      response.writeHead(200, { "Content-Type": "application/json", ...headers });
      const send = () => {
        if (response.destroyed || sent >= 50) return void response.end();
        sent++;
        response.write(piece, () => setImmediate(send));
      };
      send();
    });
    expect(await errorOf(resolveModel(repoId))).toMatchObject({
      name: "HubError",
      code: "ERR_HUB_NETWORK",
      message: expect.stringContaining("the hub answered more than") as string,
    });
    expect(sent * piece.length).toBeLessThan(50 * blank.length); // the rest was not taken
  });
});

test("no hub at all, and no folder: both are said", async () => {
  const server = await serveTiny();
  await server.stop();
  expect(await errorOf(resolveModel("models/x"))).toMatchObject({
    name: "HubError",
    code: "ERR_HUB_NETWORK",
    message: expect.stringMatching(
      /^models\/x@main: [^;]*; check the network, name a mirror with HF_ENDPOINT, or set HF_HUB_OFFLINE=1 .*; there is no folder \S+models\/x$/,
    ) as string,
  });
});

describe("the disk", () => {
  test("is full while a file arrives", async () => {
    await serveTiny();
    // What is written to /dev/full does not fit.
    const blobs = join(cache, "models--org--tiny/blobs");
    mkdirSync(blobs, { recursive: true });
    const sha1OfConfig = "9e26dfeeb6e641a33dae4961196235bdb965b21b"; // of "{}" as git hashes it
    symlinkSync("/dev/full", join(blobs, `${sha1OfConfig}.incomplete`));
    expect(await errorOf(resolveModel(repoId))).toMatchObject({
      name: "HubError",
      code: "ERR_HUB_CACHE",
      message: expect.stringMatching(/ENOSPC.*HF_HOME/) as string,
    });
  });

  test.each(["a file is in the way of the cache", "a file is in the way of its refs"])("%s", async (name) => {
    await serveTiny();
    const inTheWay = join(cache, name.includes("refs") ? "models--org--tiny/refs" : "models--org--tiny");
    mkdirSync(join(inTheWay, ".."), { recursive: true });
    writeFileSync(inTheWay, "");
    expect(await errorOf(resolveModel(repoId))).toMatchObject({ name: "HubError", code: "ERR_HUB_CACHE" });
  });
});

describe("the address of a page", () => {
  test.each([
    "https://huggingface.co/org/tiny",
    "https://huggingface.co/org/tiny/",
    "huggingface.co/org/tiny",
    "https://hf.co/org/tiny?library=transformers",
    "https://huggingface.co/org/tiny/tree/main",
    "https://huggingface.co/org/tiny/blob/main/config.json",
    "https://huggingface.co/org/tiny/resolve/main/model.safetensors?download=true",
    "https://huggingface.co/org/tiny.git",
    "https://huggingface.co/org/tiny#model-card",
    "HTTPS://HuggingFace.co/org/tiny",
  ])("%s", async (address) => {
    await serveTiny();
    expect(await resolveModel(address)).toBe(join(cache, "models--org--tiny/snapshots", commit));
  });

  test("of the endpoint, and of a commit", async () => {
    const server = await serveTiny();
    const snapshot = join(cache, "models--org--tiny/snapshots", commit);
    expect(await resolveModel(`${server.origin}/org/tiny`)).toBe(snapshot);
    expect(await resolveModel(`${server.origin}/org/tiny/tree/${commit}`)).toBe(snapshot);
    expect(await errorOf(resolveModel(`${server.origin}/org/tiny/tree/other%2Fbranch`))).toMatchObject({
      message: expect.stringMatching(/^org\/tiny@other\/branch: not found/) as string,
    });
  });

  test.each(["https://example.org/org/tiny", "https://huggingface.co/org", "https://huggingface.co/org/%zz"])(
    "that is none of a model: %s",
    async (address) => {
      const server = await serveTiny();
      expect(await errorOf(resolveModel(address))).toMatchObject({ code: "ERR_CHECKPOINT_MISSING" });
      expect(server.requests).toEqual([]);
    },
  );
});

describe("other ways to write it", () => {
  test("~ is the folder of the user", async () => {
    await serveTiny();
    vi.stubEnv("HOME", cache);
    mkdirSync(join(cache, "models/x"), { recursive: true });
    expect(await resolveModel("~/models/x")).toBe(join(cache, "models/x"));
    expect(await resolveModel("~")).toBe(cache);
    expect(await errorOf(resolveModel("~/y/z"))).toMatchObject({
      message: expect.stringContaining(`there is no folder ${join(cache, "y/z")}`) as string,
    });
  });

  test.each([`${repoId}/`, `hf:${repoId}`, `hf://${repoId}`, `hf://${repoId}@main/`])(
    "%s is an id",
    async (id) => {
      await serveTiny();
      expect(await resolveModel(id)).toBe(join(cache, "models--org--tiny/snapshots", commit));
    },
  );
});
