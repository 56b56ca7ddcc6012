/** Values as our texts have them: properties in the order in which a schema names them. */
import { isRecord, Resources } from "../../lib/grammar/schema/resources.js";

interface At {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly pointer: string;
}

/** Those that no schema names come last, as they came. */
export function inOrderOf(schema: unknown, value: unknown): unknown {
  const resources = new Resources(schema);
  return isRecord(schema) ? ordered([{ schema, pointer: "" }], value, resources, 0) : value;
}

function ordered(list: readonly At[], value: unknown, resources: Resources, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > 60) return value;
  const all = list.flatMap((at) => expanded(at, resources, new Set()));
  const inner = (ats: readonly At[], one: unknown): unknown => ordered(ats, one, resources, depth + 1);
  if (Array.isArray(value))
    return value.map((item, i) =>
      inner(
        all.flatMap((at) => [
          ...below(at, "prefixItems", i),
          ...below(at, "items", i),
          ...below(at, "items"),
          ...below(at, "additionalItems"),
        ]),
        item,
      ),
    );
  const names = [
    ...all.flatMap(({ schema: { properties } }) => (isRecord(properties) ? Object.keys(properties) : [])),
    ...all.flatMap(({ schema: { required } }) => (Array.isArray(required) ? (required as string[]) : [])),
    ...Object.keys(value),
  ];
  const known = [...new Set(names)].filter((name) => Object.hasOwn(value, name));
  return Object.fromEntries(
    known.map((name) => {
      const ats = all.flatMap((at) => [
        ...below(at, "properties", name),
        ...below(at, "additionalProperties"),
        ...Object.keys(
          isRecord(at.schema["patternProperties"]) ? at.schema["patternProperties"] : {},
        ).flatMap((one) => below(at, "patternProperties", one)),
      ]);
      return [name, inner(ats, (value as Record<string, unknown>)[name])];
    }),
  );
}

/** A schema and those that hold beside it, in the order in which the compiler takes them apart. */
function expanded(at: At, resources: Resources, followed: ReadonlySet<string>): readonly At[] {
  const { $ref } = at.schema;
  const target = typeof $ref === "string" ? resources.find($ref, at.pointer) : undefined;
  const next = new Set([...followed, at.pointer]);
  const more: At[] = [];
  if (target && isRecord(target.value) && !followed.has(target.pointer))
    more.push(...expanded({ schema: target.value, pointer: target.pointer }, resources, next));
  for (const keyword of ["allOf", "anyOf", "oneOf"]) {
    const list = at.schema[keyword];
    if (Array.isArray(list))
      for (const i of list.keys())
        more.push(...below(at, keyword, i).flatMap((one) => expanded(one, resources, next)));
  }
  for (const keyword of ["if", "then", "else"])
    more.push(...below(at, keyword).flatMap((one) => expanded(one, resources, next)));
  return [at, ...more];
}

function below({ schema, pointer }: At, ...path: (string | number)[]): readonly At[] {
  let value: unknown = schema;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return [];
    value = (value as Record<string, unknown>)[key];
  }
  return isRecord(value) ? [{ schema: value, pointer: `${pointer}/${path.join("/")}` }] : [];
}
