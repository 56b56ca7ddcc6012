/**
 * The requests that wait for a row, in order of arrival: a doubly linked list, so that the thousands that may wait cost
 * nothing per step. A new request goes to the tail; a preempted one arrived before all that were never admitted and goes
 * back to its place near the head.
 */
import type { Request } from "./request.js";

interface Node {
  readonly request: Request;
  previous: Node | undefined;
  next: Node | undefined;
}

export class RequestQueue {
  readonly #nodes = new Map<Request, Node>();
  #head: Node | undefined;
  #tail: Node | undefined;

  get size(): number {
    return this.#nodes.size;
  }

  /** The request that is served next. */
  get head(): Request | undefined {
    return this.#head?.request;
  }

  /** Adds a request that arrived after all others. O(1). */
  push(request: Request): void {
    this.#insertBetween(this.#tail, request, undefined);
  }

  /** Adds a request at its place in arrival order. O(requests in the queue that arrived earlier). */
  reinsert(request: Request): void {
    let after = this.#head;
    while (after !== undefined && after.request.arrivalIndex < request.arrivalIndex) after = after.next;
    this.#insertBetween(after === undefined ? this.#tail : after.previous, request, after);
  }

  /** Removes a request from wherever it stands. O(1). No effect on a request that is not queued. */
  remove(request: Request): void {
    const node = this.#nodes.get(request);
    if (node === undefined) return;
    this.#nodes.delete(request);
    if (node.previous === undefined) this.#head = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#tail = node.previous;
    else node.next.previous = node.previous;
  }

  *[Symbol.iterator](): IterableIterator<Request> {
    for (let node = this.#head; node !== undefined; node = node.next) yield node.request;
  }

  #insertBetween(previous: Node | undefined, request: Request, next: Node | undefined): void {
    const node: Node = { request, previous, next };
    this.#nodes.set(request, node);
    if (previous === undefined) this.#head = node;
    else previous.next = node;
    if (next === undefined) this.#tail = node;
    else next.previous = node;
  }
}
