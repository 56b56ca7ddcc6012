/** The thread that renders chat templates (chatRenderer.ts). */
import { deserialize } from "node:v8";
import { serveJobs } from "./jobServer.js";
import { type RenderJob, renderChat } from "./renderJob.js";

serveJobs((packed: Uint8Array) => renderChat(deserialize(packed) as RenderJob));
