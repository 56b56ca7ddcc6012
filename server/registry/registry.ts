/**
 * The models that are served. A version is a model that is loaded; a name is what requests use, and stands for one version or for a
 * split among several. A name is never a path: what is not in the list does not exist.
 */
import { badField, HttpError } from "../errors.js";
import { activeOf, drawVersion } from "./split.js";
import { type Current, type NameState, type RegistryState, unchanged } from "./state.js";
import type { Version } from "./version.js";

/** What answers a request. */
export interface Drawn {
  readonly name: string;
  readonly version: Version;
}

export class Registry {
  readonly #given: ReadonlyMap<string, NameState>;
  readonly #versions: Map<string, Version>;
  #state: RegistryState = unchanged;
  #names: ReadonlyMap<string, NameState>;
  /** Seconds since 1970, as `created` of /v1/models. */
  readonly #created = Math.floor(Date.now() / 1000);

  /** @param given what names stand for where nothing has changed them */
  constructor(given: ReadonlyMap<string, NameState>, versions: readonly Version[]) {
    this.#given = given;
    this.#names = given;
    this.#versions = new Map(versions.map((version) => [version.id, version]));
  }

  /** What a change starts from. */
  get current(): Current {
    return { state: this.#state, names: this.#names, versions: [...this.#versions.keys()] };
  }

  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  get versions(): readonly Version[] {
    return [...this.#versions.values()];
  }

  /** Those that requests may get. */
  get active(): readonly Version[] {
    const ids = new Set([...this.#names.values()].flatMap(({ split }) => activeOf(split)));
    return this.versions.filter(({ id }) => ids.has(id));
  }

  /** Requests that begin from now on go where this state says. */
  apply(state: RegistryState): void {
    this.#state = state;
    this.#names = namesOf(this.#given, state);
  }

  add(version: Version): void {
    this.#versions.set(version.id, version);
  }

  /** @param id of one that is there */
  remove(id: string): Version {
    const version = this.#versions.get(id)!;
    this.#versions.delete(id);
    return version;
  }

  /** A name that a version answers by, or what it is called itself. */
  nameOf({ id }: Version): string {
    return this.names.find((name) => this.#names.get(name)!.split[id]! > 0) ?? id;
  }

  /**
   * The version that is to answer.
   *
   * @param name may be left out where one model is served
   * @param key whose the request is; without one any version of a split
   * @throws HttpError 404 for a name that is not served, 400 for none
   */
  draw(name: string | undefined, key: string | undefined): Drawn {
    const found = this.find(name);
    const id = drawVersion(found, this.#names.get(found)!.split, key);
    return { name: found, version: this.#versions.get(id)! };
  }

  /** The version that answers a share of a name's requests, too. */
  shadowOf(name: string): { readonly version: Version; readonly share: number } | undefined {
    const { shadow } = this.#names.get(name)!;
    return shadow && { version: this.#versions.get(shadow.version)!, share: shadow.share };
  }

  /** The name that is meant. @throws HttpError as `draw` */
  find(name: string | undefined): string {
    const { names } = this;
    if (name === undefined) {
      if (this.active.length === 1) return names[0]!;
      throw badField("model", `missing; served are ${names.join(", ")}`, "missing_required_parameter");
    }
    if (this.#names.has(name)) return name;
    const message = `model: ${JSON.stringify(name.slice(0, 80))} is not served here; served are ${names.join(", ")}`;
    throw new HttpError(404, message, { param: "model", code: "model_not_found" });
  }

  /** A row of /v1/models. */
  describe(name: string): object {
    const lengths = activeOf(this.#names.get(name)!.split).map(
      (id) => this.#versions.get(id)!.engine.info.contextLength,
    );
    const owner = { created: this.#created, owned_by: "warploop" };
    return { id: name, object: "model", ...owner, max_model_len: Math.min(...lengths) }; // whichever answers
  }
}

/** What names stand for: of those that there are, as they were changed. */
export function namesOf(
  given: ReadonlyMap<string, NameState>,
  { names }: RegistryState,
): ReadonlyMap<string, NameState> {
  return new Map(
    [...given].map(([name, first]) => [name, Object.hasOwn(names, name) ? names[name]! : first]),
  );
}
