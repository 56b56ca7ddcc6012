/** vLLM's `structural_tag`: the older form, structures and triggers, and the newer one, formats within formats, as xgrammar has them. */
import { z } from "zod";
import type { TextPart } from "../../lib/index.js";

const schema = z.union([z.boolean(), z.looseObject({})]);
const texts = z.array(z.string().min(1)).min(1).max(1024);

const jsonSchema = z.strictObject({ type: z.literal("json_schema"), json_schema: schema });
const regex = z.strictObject({ type: z.literal("regex"), pattern: z.string().min(1) });
const ebnf = z.strictObject({ type: z.literal("grammar"), grammar: z.string().min(1) });
const constant = z.strictObject({ type: z.literal("const_string"), value: z.string() });
const anyText = z.strictObject({
  type: z.literal("any_text"),
  excludes: z.array(z.string().min(1)).optional(),
});
const tag = z.strictObject({
  type: z.literal("tag"),
  begin: z.string().min(1),
  get content() {
    return format;
  },
  end: z.string(),
});
const tags = z.array(tag).min(1).max(1024);
const format: z.ZodType<Format> = z.lazy(() =>
  z.discriminatedUnion(
    "type",
    [
      jsonSchema,
      regex,
      ebnf,
      constant,
      anyText,
      tag,
      z.strictObject({ type: z.enum(["sequence", "or"]), elements: z.array(format).min(1).max(1024) }),
      z.strictObject({
        type: z.literal("triggered_tags"),
        ...{ triggers: texts, tags, at_least_one: z.boolean().optional() },
        stop_after_first: z.boolean().optional(),
      }),
      z.strictObject({
        type: z.literal("tags_with_separator"),
        ...{ tags, separator: z.string(), at_least_one: z.boolean().optional() },
        stop_after_first: z.boolean().optional(),
      }),
    ],
    "expected json_schema, regex, grammar, const_string, any_text, tag, sequence, or, triggered_tags or tags_with_separator",
  ),
);

type Format =
  | z.output<typeof jsonSchema>
  | z.output<typeof regex>
  | z.output<typeof ebnf>
  | z.output<typeof constant>
  | z.output<typeof anyText>
  | TagFormat
  | { readonly type: "sequence" | "or"; readonly elements: readonly Format[] }
  | (TagList & { readonly type: "triggered_tags"; readonly triggers: readonly string[] })
  | (TagList & { readonly type: "tags_with_separator"; readonly separator: string });
interface TagFormat {
  readonly type: "tag";
  readonly begin: string;
  readonly content: Format;
  readonly end: string;
}
interface TagList {
  readonly tags: readonly TagFormat[];
  readonly at_least_one?: boolean | undefined;
  readonly stop_after_first?: boolean | undefined;
}

const structure = z.strictObject({ begin: z.string().min(1), schema: schema.optional(), end: z.string() });

export const structuralTag = z.union([
  z.strictObject({ type: z.literal("structural_tag"), format }),
  z.strictObject({
    type: z.literal("structural_tag"),
    structures: z.array(structure).min(1).max(1024),
    triggers: texts,
  }),
]) as z.ZodType<StructuralTag>;

export type StructuralTag =
  | { readonly type: "structural_tag"; readonly format: Format }
  | {
      readonly type: "structural_tag";
      readonly structures: readonly z.output<typeof structure>[];
      readonly triggers: readonly string[];
    };

/** @param field its name, for errors */
export function tagsOf(field: string, asked: StructuralTag): TextPart {
  if ("format" in asked) return partOf(asked.format, `${field}.format`);
  return {
    triggers: asked.triggers,
    tags: asked.structures.map(({ begin, schema: content = {}, end }, i) => {
      return { begin, content: { schema: content, name: `${field}.structures[${i}].schema` }, end };
    }),
  };
}

function partOf(of: Format, field: string): TextPart {
  switch (of.type) {
    case "json_schema":
      return { schema: of.json_schema, name: `${field}.json_schema` };
    case "regex":
      return { regex: of.pattern, name: `${field}.pattern` };
    case "grammar":
      return { grammar: of.grammar, name: `${field}.grammar` };
    case "const_string":
      return of.value;
    case "any_text":
      return { free: of.excludes ?? [] };
    case "tag":
      return { sequence: [of.begin, partOf(of.content, `${field}.content`), of.end] };
    case "sequence":
      return { sequence: of.elements.map((one, i) => partOf(one, `${field}.elements[${i}]`)) };
    case "or":
      return { either: of.elements.map((one, i) => partOf(one, `${field}.elements[${i}]`)) };
    case "triggered_tags":
      return {
        triggers: of.triggers,
        tags: of.tags.map(({ begin, content, end }, i) => {
          return { begin, content: partOf(content, `${field}.tags[${i}].content`), end };
        }),
        ...{ atLeastOne: of.at_least_one, stopAfterFirst: of.stop_after_first },
      };
    case "tags_with_separator":
      return {
        repeat: { either: of.tags.map((one, i) => partOf(one, `${field}.tags[${i}]`)) },
        ...{ min: of.at_least_one ? 1 : 0, max: of.stop_after_first ? 1 : undefined, between: of.separator },
      };
  }
}
