// Contract: docs/server.md has every field of every route, with what the code says of it, and every option and route.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chatFields } from "../../server/fields/chat.js";
import { completionFields } from "../../server/fields/completions.js";
import type { Fields } from "../../server/fields/field.js";
import { countFields, messageFields } from "../../server/fields/messages.js";
import { responseFields } from "../../server/fields/responses.js";
import { detokenizeFields, embeddingFields, tokenizeFields } from "../../server/fields/others.js";
import { resolveServe } from "../../server/options.js";

const page = readFileSync("docs/server.md", "utf8");

/** The rows of the table behind a heading, as cells. */
function table(heading: string): string[][] {
  const section = page.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const tables: readonly (readonly [string, Fields])[] = [
  ["/v1/chat/completions", chatFields],
  ["/v1/completions", completionFields],
  ["/v1/responses", responseFields],
  ["/v1/messages", messageFields],
  ["/v1/messages/count_tokens", countFields],
  ["/v1/embeddings", embeddingFields],
  ["/tokenize", tokenizeFields],
  ["/detokenize", detokenizeFields],
];

describe("docs/server.md", () => {
  it.each(tables)("has the fields of %s", (heading, fields) => {
    const rows = Object.entries(fields).map(([name, { status, required, says }]) => [
      `\`${name}\``,
      required ? "required" : status,
      says,
    ]);
    expect(table(heading)).toEqual(rows);
  });

  it("has the options and their defaults", () => {
    const defaults: Readonly<Record<string, unknown>> = resolveServe({});
    const rows = table("Options");
    const ofModels = ["firstTokenMs", "retry", "load", "stateFile"];
    const unset = ["apiKeys", "logger", ...ofModels, "adminPort", "adminKeys"];
    const names = [...Object.keys(defaults), ...unset].map((name) => `\`${name}\``).sort();
    expect(rows.map(([name]) => name).sort()).toEqual(names);
    for (const [name = "", value = ""] of rows)
      if (value.startsWith("`"))
        expect(JSON.parse(value.slice(1, -1)), name).toEqual(defaults[name.slice(1, -1)]);
  });

  it.each([
    { heading: "Routes", files: ["app.ts", "routes/health.ts"] },
    { heading: "Change what is served", files: ["admin/adminApp.ts"] },
  ])("has the routes of $files and no others", ({ heading, files }) => {
    const app = files.map((file) => readFileSync(`server/${file}`, "utf8")).join("");
    const routes = [...app.matchAll(/app\.(get|post|put|delete)\("([^"{]+)/g)].map(
      ([, method, path]) => `${method!.toUpperCase()} ${path!}`,
    );
    expect(
      table(heading)
        .map(([route = ""]) => route.replaceAll("`", ""))
        .sort(),
    ).toEqual(routes.sort());
  });
});
