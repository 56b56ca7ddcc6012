/**
 * A server with OpenAI's routes:  npm run example:server   (or: -- --model <folder or hub id> --port 8000 --api-key secret)
 * Ctrl-C lets the requests that run finish first.
 */
import { LLM } from "../lib/index.js";
import { serve } from "../server/index.js";
import { numberOf, readArguments } from "./arguments.js";

const { values } = readArguments(
  `npm run example:server -- [--model <folder or hub id>] [--name <its name in requests>] [--port 8000] [--api-key <key>]`,
  {
    model: { type: "string", default: "models/tiny-moe" },
    name: { type: "string", default: "tiny-moe" },
    port: { type: "string", default: "8000" },
    "api-key": { type: "string", multiple: true },
  },
);
const port = numberOf("port", values.port);
const llm = await LLM.load(values.model);
const server = await serve({ [values.name]: llm }, { port, apiKeys: values["api-key"] });
console.log(`${server.url}/v1 serves ${values.name}. Try in another terminal:\n`);
console.log(`curl ${server.url}/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '{"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 50, "stream": true}'\n`);

const stop = async (): Promise<void> => {
  await server.close();
  await llm.close();
};
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
