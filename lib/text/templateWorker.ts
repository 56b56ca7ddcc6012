/** The thread that renders chat templates (chatRenderer.ts). */
import { serveJobs } from "./jobServer.js";
import { renderChat } from "./renderJob.js";

serveJobs(renderChat);
