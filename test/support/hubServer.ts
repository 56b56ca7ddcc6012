/** A Hugging Face hub for tests on 127.0.0.1: one repository, the three routes that warploop calls, faults on demand. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { vi } from "vitest";

export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** What goes wrong; every field can be changed between requests. */
export interface Faults {
  /** Answer of the API instead of the right one. */
  apiStatus?: number;
  /** Answer of file requests instead of the right one. */
  fileStatus?: number;
  /** Cut the connection after so many bytes of a file. */
  breakAfterBytes?: number;
  /** How many file requests are cut; Infinity if not set. */
  breakTimes?: number;
  ignoreRanges?: boolean;
  /** Content to send instead of the file's. */
  content?: Uint8Array;
  /** Send files, and the second page of the listing, from this origin, as the hub does with its CDN. */
  redirectTo?: string;
  requiredToken?: string;
  /** Called before a file is sent. */
  onFile?: () => void;
}

export const repoId = "org/tiny";
export const commit = "0123456789abcdef0123456789abcdef01234567";

/** Larger files are in LFS, with a sha256. */
const lfsAboveBytes = 1000;

export class HubServer {
  readonly requests: SeenRequest[] = [];
  faults: Faults = {};
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #server: Server;

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.#files = new Map(Object.entries(files));
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this.origin;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  fileRequests(): SeenRequest[] {
    return this.requests.filter(({ path }) => path.includes("/resolve/"));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.origin);
    const { range, authorization } = request.headers;
    this.requests.push({ path: pathname, range, authorization });
    const { requiredToken, apiStatus } = this.faults;
    if (requiredToken !== undefined && authorization !== `Bearer ${requiredToken}`) {
      sendJson(response, 401, { error: "Invalid username or password." });
    } else if (pathname.startsWith("/api/") && apiStatus !== undefined) {
      sendJson(response, apiStatus, { error: "fault" });
    } else if (pathname === `/api/models/${repoId}/revision/main`) {
      sendJson(response, 200, {
        _id: "1",
        id: repoId,
        sha: commit,
        lastModified: "2024-01-01T00:00:00.000Z",
      });
    } else if (pathname === `/api/models/${repoId}/tree/${commit}`) {
      this.#sendTree(response, searchParams.get("cursor"));
    } else if (pathname.startsWith(`/api/models/${repoId}/tree/${commit}/`)) {
      const folder = decodeURIComponent(pathname.split("/").at(-1) ?? "");
      const inside = [...this.#files].filter(([path]) => path.startsWith(`${folder}/`));
      sendJson(
        response,
        200,
        inside.map(([path, content]) => treeEntry(path, content)),
      );
    } else if (pathname.startsWith(`/${repoId}/resolve/${commit}/`)) {
      this.#sendFile(response, decodeURIComponent(pathname.split(`/${commit}/`)[1] ?? ""), range);
    } else {
      sendJson(response, 404, { error: "Repository not found" });
    }
  }

  /** In two pages, so that the next page is followed. */
  #sendTree(response: ServerResponse, cursor: string | null): void {
    const atRoot = [...this.#files].filter(([path]) => !path.includes("/"));
    const folders = new Set(
      [...this.#files.keys()].filter((path) => path.includes("/")).map((path) => path.split("/")[0]!),
    );
    const entries = [
      ...atRoot.map(([path, content]) => treeEntry(path, content)),
      ...Array.from(folders, (path) => ({ type: "directory", path, size: 0, oid: commit })),
    ];
    if (cursor === null) {
      const next = `${this.faults.redirectTo ?? this.origin}/api/models/${repoId}/tree/${commit}?cursor=2`;
      response.setHeader("Link", `<${next}>; rel="next"`);
    }
    sendJson(response, 200, cursor === null ? entries.slice(0, 2) : entries.slice(2));
  }

  #sendFile(response: ServerResponse, name: string, range: string | undefined): void {
    const { faults } = this;
    faults.onFile?.();
    const content = faults.content ?? this.#files.get(name);
    if (faults.fileStatus !== undefined || content === undefined) {
      response.writeHead(faults.fileStatus ?? 404).end();
      return;
    }
    if (faults.redirectTo !== undefined) {
      const path = `/${repoId}/resolve/${commit}/${name}`;
      response.writeHead(302, { Location: `${faults.redirectTo}${path}` }).end();
      return;
    }
    const isPart = range !== undefined && !faults.ignoreRanges;
    const [, first = "0", last = ""] = (isPart && /^bytes=(\d+)-(\d*)$/.exec(range)) || [];
    const [start, end] = [Number(first), last === "" ? content.length : Number(last) + 1];
    const headers: Record<string, string | number> = { "Content-Length": end - start };
    if (isPart) headers["Content-Range"] = `bytes ${start}-${end - 1}/${content.length}`;
    response.writeHead(isPart ? 206 : 200, headers);
    const { breakAfterBytes, breakTimes = Infinity } = faults;
    if (breakAfterBytes === undefined || breakTimes <= 0 || content.length < lfsAboveBytes) {
      response.end(content.subarray(start, end));
      return;
    }
    faults.breakTimes = breakTimes - 1;
    response.write(content.subarray(start, start + breakAfterBytes), () => {
      // Not at once, or what was written is lost with the connection.
      setTimeout(() => response.destroy(), 30);
    });
  }
}

function treeEntry(path: string, content: Uint8Array): object {
  const sha1 = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
  const entry = { type: "file", path, size: content.length, oid: sha1 };
  if (content.length < lfsAboveBytes) return entry;
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { ...entry, lfs: { oid: sha256, size: content.length, pointerSize: 130 } };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(body));
}

/** Starts a hub with the files of a folder, which this process then asks, with its cache in another folder. The caller stops it. */
export async function serveFolder(folder: string, cache: string): Promise<HubServer> {
  const names = (await readdir(folder)).filter((name) => name !== "golden.json");
  const files = names.map(async (name) => [name, await readFile(path.join(folder, name))] as const);
  const server = new HubServer(Object.fromEntries(await Promise.all(files)));
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  vi.stubEnv("HF_TOKEN", undefined);
  vi.stubEnv("HF_ENDPOINT", await server.start());
  return server;
}
