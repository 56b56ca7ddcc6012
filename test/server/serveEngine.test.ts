// Contract: an engine's process whose model does not load says so once, and ends without another word.
import { expect, it } from "vitest";
import { serveEngine } from "../../server/child/serveEngine.js";
import type { Ask, Told } from "../../server/child/messages.js";

it.each([true, undefined])("a model that does not load, where sending returns %s", async (returned) => {
  const told: Told[] = [];
  let tell!: (message: Ask) => void;
  const end = serveEngine({
    send: (message) => {
      told.push(message);
      return returned; // as `process.send` does
    },
    onMessage: (listener) => (tell = listener),
  });
  tell({ kind: "load", model: "/nowhere/no-model", options: {} });
  await end;
  const said = told.flatMap((message) => Object.keys(message)).filter((key) => key !== "progress");
  expect(said).toEqual(["failed"]);
});
