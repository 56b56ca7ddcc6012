// Whether all that an output says is in what was read of it: its words, without those of the markup.
import { families, reasonings } from "../../toolcalls/families.js";
import { markersOf, states } from "../../toolcalls/machine.js";
import type { Joined } from "./parse.js";

const inMarkers = families.flatMap((syntax) => reasonings.flatMap((one) => markersOf(states(syntax, one))));
/** Markup that is no marker: fields, types, channels. */
const inMarkup =
  "name arguments parameters type id function functions json true false none null r to assistant";
const markup = new Set([
  ...inMarkers.flatMap(words),
  ...words(inMarkup),
  ...words("analysis commentary final constrain"),
]);

function words(text: string): string[] {
  const plain = text
    .replace(/\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})/g, (_, a: string | undefined, b: string | undefined) =>
      String.fromCharCode(parseInt(a ?? b ?? "", 16)),
    )
    .replace(/\\[nrtbf"'/\\]/g, " ")
    .replace(/(?<=\d)_(?=\d)/g, "");
  return plain.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Words of the text that are in no event as often as they are written. */
export function lostWords(text: string, { reasoning, content, calls }: Joined): string[] {
  const said = [reasoning, content, ...calls.flatMap((call) => [call.id, call.name, call.arguments])].join(
    "\n",
  );
  const left = new Map<string, number>();
  for (const word of words(said)) left.set(word, (left.get(word) ?? 0) + 1);
  return words(text).filter((word) => {
    const count = left.get(word) ?? 0;
    left.set(word, count - 1);
    return count <= 0 && !markup.has(word);
  });
}
