/** The process of an engine (childEngine.ts). What ends the server by hand is not for it: it goes when its parent says so, or goes. */
import { serveEngine } from "./serveEngine.js";
import type { Ask } from "./messages.js";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined); // of the terminal's process group
process.on("disconnect", () => process.exit(0)); // the parent has gone: nobody is left to answer
await serveEngine({
  send: (message) => process.connected && process.send!(message, () => undefined), // a parent that has gone is no error
  onMessage: (listener) => process.on("message", (message) => listener(message as Ask)),
});
process.disconnect();
