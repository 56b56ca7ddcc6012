/**
 * The server of bench/server.ts, in a process of its own: says where it listens, and how long its event loop was kept from turning
 * from one message of its parent to the next.
 */
import { once } from "node:events";
import { LLM } from "../../lib/index.js";
import { serve, startEngine } from "../../server/index.js";
import { delayDuring } from "./loopDelay.js";

const [model = "", isInProcess] = process.argv.slice(2);
const options = { device: "cpu", maxSequences: 64, contextLength: 2048 } as const;
const engine = isInProcess ? await LLM.load(model, options) : await startEngine(model, options);
const server = await serve({ bench: engine }, { port: 0, logger: false, maxQueue: 1000 });
const told = (): Promise<unknown> => once(process, "message");

process.send!(server.url);
for (;;) {
  await told(); // it begins
  const delay = await delayDuring(told);
  process.send!(delay);
}
