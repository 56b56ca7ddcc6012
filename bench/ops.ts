/**
 * All op benches in one process, one table.
 *
 *     npx tsx bench/ops.ts
 */
import { readdirSync } from "node:fs";
import { benchArgs } from "./support/benchArgs.js";

benchArgs(import.meta.url, {});

const folder = new URL("./ops/", import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith(".bench.ts"));
for (const file of files.sort()) await import(new URL(file, folder).href);
