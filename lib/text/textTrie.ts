/** Finds texts of a fixed set in other texts, the leftmost and there the longest, in time that does not depend on how many. */

interface Node {
  readonly next: Map<number, Node>;
  /** The text that ends here. */
  text?: string;
}

export class TextTrie {
  readonly #root: Node = { next: new Map() };

  /** @param texts the empty one is left out */
  constructor(texts: Iterable<string>) {
    for (const text of texts) {
      if (text === "") continue;
      let node = this.#root;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        let child = node.next.get(unit);
        if (child === undefined) node.next.set(unit, (child = { next: new Map() }));
        node = child;
      }
      node.text = text;
    }
  }

  /** The longest text of the set that starts at index `at`; undefined if none does. */
  longestAt(text: string, at: number): string | undefined {
    let longest: string | undefined;
    let node = this.#root.next.get(text.charCodeAt(at));
    for (let i = at + 1; node !== undefined; i++) {
      longest = node.text ?? longest;
      node = node.next.get(text.charCodeAt(i));
    }
    return longest;
  }

  /** All texts of the set that occur; one that overlaps an earlier one is left out. */
  *findAll(text: string): Generator<{ readonly at: number; readonly found: string }> {
    for (let at = 0; at < text.length;) {
      const found = this.longestAt(text, at);
      if (found !== undefined) yield { at, found };
      at += found?.length ?? 1;
    }
  }
}
