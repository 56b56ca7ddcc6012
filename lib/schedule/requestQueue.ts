/**
 * The requests that wait for a row: the most urgent first, those of equal priority in order of arrival. Each priority has a line, a
 * doubly linked list, so that the thousands that may wait cost nothing per step. A new request goes to the tail of its line; a
 * preempted one arrived before all of them that were never admitted and goes back to its place near the head.
 */
import type { Request } from "./request.js";

interface Node {
  readonly request: Request;
  readonly line: Line;
  previous: Node | undefined;
  next: Node | undefined;
}

interface Line {
  readonly priority: number;
  head: Node | undefined;
  tail: Node | undefined;
}

export class RequestQueue {
  readonly #nodes = new Map<Request, Node>();
  /** By priority, ascending; none is empty. */
  readonly #lines: Line[] = [];

  get size(): number {
    return this.#nodes.size;
  }

  /** The request that is served next. */
  get head(): Request | undefined {
    return this.#lines[0]?.head?.request;
  }

  /** Adds a request that arrived after all others. O(log priorities), O(priorities) for the first of its own. */
  push(request: Request): void {
    const line = this.#lineOf(request);
    this.#insertBetween(line, line.tail, request, undefined);
  }

  /** Adds a request at its place in arrival order. As `push`, and O(requests of its priority that arrived earlier). */
  reinsert(request: Request): void {
    const line = this.#lineOf(request);
    let after = line.head;
    while (after !== undefined && after.request.arrivalIndex < request.arrivalIndex) after = after.next;
    this.#insertBetween(line, after === undefined ? line.tail : after.previous, request, after);
  }

  /** Removes a request from wherever it stands. As `push`. No effect on a request that is not queued. */
  remove(request: Request): void {
    const node = this.#nodes.get(request);
    if (node === undefined) return;
    this.#nodes.delete(request);
    const { line } = node;
    if (node.previous === undefined) line.head = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) line.tail = node.previous;
    else node.next.previous = node.previous;
    if (line.head === undefined) this.#lines.splice(this.#placeOf(line.priority), 1);
  }

  *[Symbol.iterator](): IterableIterator<Request> {
    for (const { head } of this.#lines) {
      for (let node = head; node !== undefined; node = node.next) yield node.request;
    }
  }

  /** The line of a request's priority, which is begun if there is none. */
  #lineOf({ priority }: Request): Line {
    const place = this.#placeOf(priority);
    const found = this.#lines[place];
    if (found?.priority === priority) return found;
    const line: Line = { priority, head: undefined, tail: undefined };
    this.#lines.splice(place, 0, line);
    return line;
  }

  /** Index of the first line that is not more urgent. */
  #placeOf(priority: number): number {
    let [low, high] = [0, this.#lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#lines[middle]!.priority < priority) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insertBetween(line: Line, previous: Node | undefined, request: Request, next: Node | undefined): void {
    const node: Node = { request, line, previous, next };
    this.#nodes.set(request, node);
    if (previous === undefined) line.head = node;
    else previous.next = node;
    if (next === undefined) line.tail = node;
    else next.previous = node;
  }
}
