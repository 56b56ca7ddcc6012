/** How the hub is spoken to: where it is, who asks, and whether at all. Environment: HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN. */
import { HUB_URL } from "@huggingface/hub";
import type { ResolveModelOptions } from "./hubOptions.js";

export interface Hub {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** For the contents of files, whose sizes are known. */
  readonly fetch: typeof fetch;
  /** For questions about the repository. */
  readonly api: typeof fetch;
}

export function isOffline(): boolean {
  return ["1", "on", "yes", "true"].includes((process.env["HF_HUB_OFFLINE"] ?? "").toLowerCase());
}

export function endpoint(): string {
  return (process.env["HF_ENDPOINT"] || HUB_URL).replace(/\/+$/, "");
}

/** A fetch with the signal and, for the endpoint only, the token: links in answers may lead elsewhere. */
export function hubFetch({ token, signal }: Pick<ResolveModelOptions, "token" | "signal">): typeof fetch {
  const accessToken = token ?? process.env["HF_TOKEN"];
  const { origin } = new URL(endpoint());
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    const url = new URL(input instanceof Request ? input.url : input);
    if (accessToken && url.origin === origin) headers.set("Authorization", `Bearer ${accessToken}`);
    return fetch(input, { ...init, headers, signal: signal ?? null });
  };
}
