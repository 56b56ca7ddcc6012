// Contract: a change of the registry that was confirmed is there at the next start, whatever was torn when the last one ended; one that
// could not be written has changed nothing.
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RegistryState } from "../../server/registry/state.js";
import { type Files, StateStore } from "../../server/registry/store.js";

let folder: string;
let file: string;
let audit: string;
let told: string[];
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(tmpdir(), "warploop-registry-"));
  file = path.join(folder, "state.json");
  audit = `${file}.audit.jsonl`;
});
afterAll(() => fs.rm(folder, { recursive: true }));
beforeEach(async () => {
  await empty();
  told = [];
});

async function empty(): Promise<void> {
  for (const name of await fs.readdir(folder)) await fs.rm(path.join(folder, name));
}

const open = (files?: Files) => StateStore.open(file, (what) => told.push(what), files);
const stateOf = async () => (await open()).state;

/** After so many changes. The name has letters of several bytes. */
const state = (revision: number): RegistryState => ({
  revision,
  versions: revision === 0 ? {} : { [`v${revision}`]: { model: `models/é${revision}` } },
  names: revision === 0 ? {} : { chat: { split: { [`v${revision}`]: 1 }, previous: { é: 2.5 } } },
});
const change = (revision: number) => ({
  ...{ time: "2026-11-30T21:00:00.000Z", who: "key 1", what: `change ${revision}` },
  ...{ before: state(revision - 1), after: state(revision) },
});

/** The files after some changes. */
async function written(numChanges: number): Promise<{ snapshot: Buffer; lines: Buffer }> {
  await empty();
  const store = await open();
  for (let i = 1; i <= numChanges; i++) await store.commit(change(i));
  return { snapshot: await fs.readFile(file), lines: await fs.readFile(audit) };
}

/** One more change works, and the audit has whole lines alone. */
async function goesOn(revision: number): Promise<void> {
  await (await open()).commit(change(revision));
  expect(await stateOf()).toEqual(state(revision));
  const lines = (await fs.readFile(audit, "utf8")).trimEnd().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { what: string }).what).at(-1)).toBe(`change ${revision}`);
}

it("begins with nothing, and reads what was written", async () => {
  expect(await stateOf()).toEqual(state(0));
  expect((await fs.readdir(folder)).sort()).toEqual(["state.json"]);
  await written(3);
  expect(await stateOf()).toEqual(state(3));
  const lines = (await fs.readFile(audit, "utf8")).trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([change(1), change(2), change(3)]);
  expect((await fs.readdir(folder)).sort()).toEqual(["state.json", "state.json.audit.jsonl"]);
  expect((await fs.stat(file)).mode & 0o077).toBe(0);
  expect(told).toEqual([]);
});

describe("torn", () => {
  it("the state at every byte, or gone: the audit has it", async () => {
    const { snapshot } = await written(2);
    for (let cut = 0; cut < snapshot.length - 2; cut++) {
      await fs.writeFile(file, snapshot.subarray(0, cut));
      expect(await stateOf(), `${cut}`).toEqual(state(2));
    }
    expect(told).toHaveLength(snapshot.length - 2);
    await fs.writeFile(file, Buffer.alloc(snapshot.length)); // zeros, as some filesystems leave them
    expect(await stateOf()).toEqual(state(2));
    await fs.rm(file);
    expect(await stateOf()).toEqual(state(2));
    expect(told.at(-1)).toBe(`${file} is missing: the last whole line of its audit has the state`);
    await goesOn(3);
  });

  it("the audit at every byte of its last line, or gone: the state stays", async () => {
    const first = (await written(1)).lines;
    const { lines } = await written(2);
    for (let cut = first.length; cut < lines.length; cut++) {
      await fs.writeFile(audit, lines.subarray(0, cut));
      expect(await stateOf(), `${cut}`).toEqual(state(2));
    }
    await fs.rm(audit);
    expect(await stateOf()).toEqual(state(2));
    await goesOn(3);
  });

  it("a change that was being made, at every byte: it was not made, and leaves no trace", async () => {
    const { snapshot, lines } = await written(1);
    const next = (await written(2)).lines;
    await fs.writeFile(file, snapshot);
    for (let cut = lines.length; cut <= next.length; cut++) {
      await fs.writeFile(audit, next.subarray(0, cut));
      await fs.writeFile(`${file}.new`, snapshot.subarray(0, cut % snapshot.length));
      expect(await stateOf(), `${cut}`).toEqual(state(1));
    }
    await fs.writeFile(audit, next);
    await goesOn(2);
    expect(told).toContain(`${audit}: ${next.length - lines.length} bytes are of a change that was not made`);
  });

  it("a line in the middle of the audit: the others count", async () => {
    const { lines } = await written(3);
    lines.fill(0, 10, 20);
    await fs.writeFile(audit, lines);
    await fs.writeFile(file, "");
    expect(await stateOf()).toEqual(state(3));
    expect(told).toContain(`${audit}: the line at byte 0 is torn`);
  });

  it("both: the earlier one; and where there is none it says so", async () => {
    const { lines } = await written(2);
    await fs.writeFile(file, "{");
    await fs.writeFile(audit, lines.subarray(0, -5));
    expect(await stateOf()).toEqual(state(1));
    await fs.writeFile(audit, "{");
    await expect(open()).rejects.toMatchObject({
      name: "ArgumentRangeError",
      message: `options.stateFile: cannot be used: ${file} is torn, and so is ${audit}: mend one, or remove both`,
    });
  });

  it.each(["{}", '{"revision":1}', '{"revision":-1,"versions":{},"names":{}}', "null"])(
    "%s is no state",
    async (text) => {
      await fs.writeFile(file, text);
      await expect(open()).rejects.toThrow("options.stateFile: ");
    },
  );
});

it("what is whole and no state of this version is not taken for torn", async () => {
  const { snapshot } = await written(2);
  const later = { ...(JSON.parse(snapshot.toString()) as RegistryState), pins: {} };
  await fs.writeFile(file, JSON.stringify(later));
  await expect(open()).rejects.toThrow(`${file} is no state of this version: Unrecognized key: "pins"`);
  const mistyped = snapshot.toString().replace('"v2": 1', '"v2": "1"');
  await fs.writeFile(file, mistyped);
  await expect(open()).rejects.toThrow("names.chat.split.v2: Invalid input: expected number");
  expect(await fs.readFile(file, "utf8")).toBe(mistyped);
});

/** Files of which the operation `at` fails as on a full disk, a write in its middle; `stays`: and all behind it. */
function full(at: number, stays: boolean): { files: Files; failed: () => string | undefined } {
  let count = 0;
  let first: string | undefined;
  const guard = (name: string): void => {
    const fails = count === at || (stays && count > at);
    count++;
    if (!fails) return;
    first ??= name;
    throw Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), { code: "ENOSPC" });
  };
  const handleOf = (handle: fs.FileHandle) => ({
    truncate: async (size: number) => {
      guard("truncate");
      await handle.truncate(size);
    },
    write: async (bytes: Buffer, done: number, length: number, position: number) => {
      try {
        guard("write");
      } catch (error) {
        await handle.write(bytes, done, Math.floor(length / 2), position);
        throw error;
      }
      return handle.write(bytes, done, length, position);
    },
    sync: async () => {
      guard("sync");
      await handle.sync();
    },
    close: () => handle.close(),
  });
  const files: Files = {
    open: async (...args) => {
      guard("open");
      return handleOf(await fs.open(...args)) as unknown as fs.FileHandle;
    },
    readFile: fs.readFile,
    rename: async (...args) => {
      guard("rename");
      return fs.rename(...args);
    },
    rm: async (...args) => {
      guard("rm");
      return fs.rm(...args);
    },
  };
  return { files, failed: () => first };
}

describe("a disk that is full", () => {
  it.each([{ stays: false }, { stays: true }])("at every step of a change ($stays)", async ({ stays }) => {
    await written(1);
    let revision = 1;
    const steps: string[] = [];
    for (let at = 0; at < 20; at++) {
      const { files, failed } = full(at, stays);
      const store = await open(files);
      const made = await store.commit(change(revision + 1)).catch((error: unknown) => error);
      if (failed() === undefined) break;
      steps.push(failed()!);
      if (made === undefined)
        revision++; // its name was in place already
      else
        expect(made).toMatchObject({
          status: 507,
          code: "state_not_written",
          message: `the change was not made: ENOSPC: no space left on device, ${failed()}`,
        });
      expect(await stateOf()).toEqual(state(revision));
      await store.commit(change(revision + 1)).then(
        () => revision++,
        () => expect(stays).toBe(true),
      );
      expect(await stateOf()).toEqual(state(revision));
    }
    const write = ["open", "truncate", "write", "sync"];
    expect(steps).toEqual([...write, ...write, "rename", "open", "sync"]);
  });

  it("at the start is told", async () => {
    await expect(open(full(2, true).files)).rejects.toThrow("options.stateFile: cannot be used: ENOSPC");
  });
});
