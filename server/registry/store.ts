/**
 * The state on disk: `<file>`, which is replaced as a whole (write, fsync, rename, fsync of the folder), and `<file>.audit.jsonl`, a
 * line for each change. The file is what counts; a line of the audit that is ahead of it belongs to a change that nobody was told has
 * happened, and is cut off. Where the file is torn, the last whole line of the audit has what it had.
 */
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { ArgumentRangeError } from "../../lib/index.js";
import { HttpError } from "../errors.js";
import { type RegistryState, stateSchema, unchanged } from "./state.js";

/** A line of the audit. */
export interface AuditEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly who: string;
  readonly what: string;
  readonly before: RegistryState;
  readonly after: RegistryState;
}

const entrySchema: z.ZodType<AuditEntry> = z.strictObject({
  time: z.string(),
  who: z.string(),
  what: z.string(),
  before: stateSchema,
  after: stateSchema,
});

/** Of node:fs/promises. */
export type Files = Pick<typeof fs, "open" | "readFile" | "rename" | "rm">;

/** What the audit says. */
interface Audit {
  readonly entries: readonly { readonly entry: AuditEntry; readonly end: number }[];
  readonly bytes: number;
}

export class StateStore {
  /** As it was read. */
  readonly state: RegistryState;
  readonly #file: string;
  readonly #files: Files;
  readonly #tell: (what: string) => void;
  /** Where the next line of the audit goes. */
  #end: number;

  /**
   * @param tell what was found torn, and what became of it
   * @throws ArgumentRangeError: the file cannot be read or written, or neither it nor its audit has a state
   */
  static async open(file: string, tell: (what: string) => void, files: Files = fs): Promise<StateStore> {
    try {
      return await StateStore.#open(file, tell, files);
    } catch (error) {
      throw new ArgumentRangeError(`options.stateFile: cannot be used: ${(error as Error).message}`);
    }
  }

  static async #open(file: string, tell: (what: string) => void, files: Files): Promise<StateStore> {
    const bytes = await bytesOf(file, files);
    const audit = await readAudit(auditOf(file), tell, files);
    const last = audit.entries.at(-1)?.entry.after;
    if (!bytes && !last) {
      const store = new StateStore(file, unchanged, 0, tell, files);
      await store.#replace(unchanged);
      return store;
    }
    const state = bytes && stateIn(file, bytes);
    if (!state)
      tell(`${file} is ${bytes ? "torn" : "missing"}: the last whole line of its audit has the state`);
    const known = state ?? last;
    if (!known) throw new Error(`${file} is torn, and so is ${auditOf(file)}: mend one, or remove both`);
    const made = audit.entries.filter(({ entry }) => entry.after.revision <= known.revision).at(-1);
    const end = made?.end ?? 0;
    if (end < audit.bytes)
      tell(`${auditOf(file)}: ${audit.bytes - end} bytes are of a change that was not made`);
    return new StateStore(file, known, end, tell, files);
  }

  private constructor(
    file: string,
    state: RegistryState,
    end: number,
    tell: (what: string) => void,
    files: Files,
  ) {
    this.state = state;
    this.#file = file;
    this.#end = end;
    this.#tell = tell;
    this.#files = files;
  }

  /** Writes a change; it counts when this resolves. @throws HttpError 507: nothing has changed */
  async commit(entry: AuditEntry): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    try {
      await this.#replace(entry.after, () => this.#write(auditOf(this.#file), this.#end, line));
    } catch (cause) {
      await this.#write(auditOf(this.#file), this.#end, Buffer.of()).catch(() => undefined); // or by the next open
      throw new HttpError(507, `the change was not made: ${(cause as Error).message}`, {
        ...{ code: "state_not_written", cause },
      });
    }
    this.#end += line.length;
  }

  /** @param before what has to be on disk first, when there is room for the file */
  async #replace(state: RegistryState, before: () => Promise<void> = async () => undefined): Promise<void> {
    const temporary = `${this.#file}.new`;
    try {
      await this.#write(temporary, 0, Buffer.from(`${JSON.stringify(state, null, 2)}\n`));
      await before();
      await this.#files.rename(temporary, this.#file);
    } catch (error) {
      await this.#files.rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await this.#syncFolder();
  }

  /** Makes a file end at `position`, and goes on with `bytes`. */
  async #write(file: string, position: number, bytes: Uint8Array): Promise<void> {
    const handle = await this.#files.open(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    try {
      await handle.truncate(position);
      for (let done = 0; done < bytes.length;)
        done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** The name is in place; without this it may be gone after a loss of power, and the audit has the state. */
  async #syncFolder(): Promise<void> {
    try {
      const folder = await this.#files.open(path.dirname(path.resolve(this.#file)), "r");
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      this.#tell(`${this.#file}: its folder cannot be written through: ${(error as Error).message}`);
    }
  }
}

const auditOf = (file: string): string => `${file}.audit.jsonl`;

async function bytesOf(file: string, files: Files): Promise<Buffer | undefined> {
  try {
    return await files.readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Its whole lines. */
async function readAudit(file: string, tell: (what: string) => void, files: Files): Promise<Audit> {
  const bytes = (await bytesOf(file, files)) ?? Buffer.of();
  const entries: { entry: AuditEntry; end: number }[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf("\n", start) + 1;
    const entry = end > 0 ? parsed(entrySchema, bytes.subarray(start, end)) : undefined;
    if (entry) entries.push({ entry, end });
    else tell(`${file}: the line at byte ${start} is torn`);
    start = end > 0 ? end : bytes.length;
  }
  return { entries, bytes: bytes.length };
}

/** Undefined: it is torn. @throws Error for one that is whole, but not understood */
function stateIn(file: string, bytes: Buffer): RegistryState | undefined {
  const json = parsed(z.unknown(), bytes);
  if (json === undefined) return undefined;
  const { success, data, error } = stateSchema.safeParse(json);
  if (success) return data;
  const { path: at, message } = error.issues[0]!;
  const where = at.length > 0 ? `${at.join(".")}: ` : "";
  throw new Error(`${file} is no state of this version: ${where}${message}`);
}

function parsed<T>(schema: z.ZodType<T>, json: Buffer): T | undefined {
  try {
    return schema.safeParse(JSON.parse(json.toString())).data;
  } catch {
    return undefined;
  }
}
