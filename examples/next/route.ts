/**
 * OpenAI's routes in an app of Next.js, below /ai: this is app/ai/[...path]/route.ts, with "warploop" and "warploop/openai" in place of
 * the paths here. In next.config.ts: serverExternalPackages: ["warploop"], since a bundler cannot take an addon along.
 */
import { LLM } from "../../lib/index.js";
import { createHandler, type Handler } from "../../server/openai/index.js";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

// Once for the process: in development Next loads this module again after each change.
const shared = globalThis as { myModel?: Promise<Handler> };

async function start(): Promise<Handler> {
  const llm = await LLM.load(process.env["MY_MODEL"] ?? "models/tiny-moe");
  return createHandler({ "my-model": llm }, { basePath: "/ai" });
}

export async function POST(request: Request): Promise<Response> {
  shared.myModel ??= start();
  return (await shared.myModel).fetch(request);
}

export const GET = POST;
