/** Texts in parts: what stands as it is, what has a form, and what is free. Plain data, which may be sent to another thread or process. */

/** A part of a text. */
export type TextPart =
  /** As it is. What a model has a token of its own for, such as a marker, is that token and not the same characters. */
  | string
  /** JSON, as `format: { schema }` has it. `name`: what errors call it. */
  | {
      readonly schema: object | boolean;
      readonly whitespace?: number | undefined;
      readonly name?: string | undefined;
    }
  | { readonly regex: string; readonly name?: string | undefined }
  | { readonly choice: readonly string[] }
  /** As `format: { grammar }` has it. */
  | { readonly grammar: string; readonly name?: string | undefined }
  | { readonly sequence: readonly TextPart[] }
  | { readonly either: readonly TextPart[] }
  | {
      readonly repeat: TextPart;
      readonly min?: number | undefined;
      readonly max?: number | undefined;
      readonly between?: TextPart | undefined;
    }
  | FreeText
  | Members
  | StructuralTags
  /** One of the parts that a format has by name. */
  | { readonly rule: string };

/** Any text without special tokens in which none of these stand. */
export interface FreeText {
  readonly free: readonly string[];
  /** Nor does it begin, behind white space, with one of these characters. */
  readonly notFirst?: string | undefined;
  /** This text comes behind it: better than as a part of its own, since a mask needs no parser within free text then. */
  readonly end?: string | undefined;
}

/** Free text until a trigger, which begins a tag: from there on the text is what one of the tags says. */
export interface StructuralTags {
  /** What free text may not contain: a tag begins there. */
  readonly triggers: readonly string[];
  readonly tags: readonly Tag[];
  /** Whether the text may not end before there was a tag. Default false. */
  readonly atLeastOne?: boolean | undefined;
  /** Whether the text ends behind the first tag. Default false: free text goes on. */
  readonly stopAfterFirst?: boolean | undefined;
}

export interface Tag {
  /** Begins with one of the triggers. */
  readonly begin: string;
  readonly content: TextPart;
  readonly end: string;
}

/** The values of an object one by one, in a form other than JSON. */
export interface Members {
  /** Of the object. Only properties that it names are written. */
  readonly members: object | boolean;
  readonly name?: string | undefined;
  /** Before the name of a property, behind it, and behind its value. */
  readonly around: readonly [string, string, string];
  /** In place of what is behind the name: where the value is a string, and where it is not. */
  readonly flagged?: readonly [string, string] | undefined;
  readonly between?: string | undefined;
  /** Strings as they are and all else as JSON; or Python, of which JSON is a part but for True, False and None. */
  readonly values: "raw" | "python";
  /** What a reader takes the raw value of a property for; null: it does not know. */
  readonly types?: Readonly<Record<string, readonly string[] | null>> | undefined;
  /** What a value that the reader does not know the type of is for it. */
  readonly untyped?: "string" | "json" | undefined;
  /** What stands in no value, since it would end it. */
  readonly never?: readonly string[] | undefined;
  /** A pattern of the names that can be written. */
  readonly names?: string | undefined;
}

/** What a model may write before a text of a form. */
export interface Thoughts {
  readonly open: string;
  readonly close: string;
  /** Further texts that do not stand in thoughts. */
  readonly never?: readonly string[] | undefined;
  /** False: what a prompt ends in says nothing of them. Default: they are open where it ends with `open`, and over where with `close`. */
  readonly inPrompt?: boolean | undefined;
}

/** Where a text begins. */
export type ThoughtState = "before" | "open" | "over";

/** A text of parts. */
export interface PartsFormat {
  readonly parts: TextPart;
  readonly rules?: Readonly<Record<string, TextPart>> | undefined;
  /** Markers that are written in characters also where there is a token. */
  readonly spelled?: readonly string[] | undefined;
  /** Comes before them, if there is any. */
  readonly thoughts?: Thoughts | undefined;
}
