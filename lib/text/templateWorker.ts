/** The thread that renders chat templates (chatRenderer.ts). */
import { serveJobs } from "./jobServer.js";
import { unpackJob } from "./packedJob.js";
import { renderChat } from "./renderJob.js";

serveJobs((packed: Uint8Array) => renderChat(unpackJob(packed)));
