// Contract: the queue is in order of priority and then of arrival whatever is pushed, put back or removed.
import { expect, test } from "vitest";
import { Request } from "../../lib/schedule/request.js";
import { RequestQueue } from "../../lib/schedule/requestQueue.js";
import { Random } from "./random.js";

function makeRequests(count: number, priorityOf: (i: number) => number = () => 0): Request[] {
  return Array.from({ length: count }, (_, arrivalIndex) => {
    const params = { maxTokens: 1, priority: priorityOf(arrivalIndex) };
    return Object.assign(new Request(`r${arrivalIndex}`, [1], params), { arrivalIndex });
  });
}

const order = (queue: RequestQueue) => [...queue].map((request) => request.arrivalIndex);

test("preempted requests go back to their place, not merely to the head", () => {
  const requests = makeRequests(5);
  const queue = new RequestQueue();
  for (const request of requests) queue.push(request);
  for (const request of requests.slice(0, 3)) queue.remove(request);
  expect(queue.head).toBe(requests[3]);
  queue.reinsert(requests[0]!);
  queue.reinsert(requests[2]!);
  queue.reinsert(requests[1]!);
  expect(order(queue)).toEqual([0, 1, 2, 3, 4]);
  expect(queue.size).toBe(5);
});

test("removing a request that is not queued has no effect", () => {
  const [first, second] = makeRequests(2) as [Request, Request];
  const queue = new RequestQueue();
  queue.push(first);
  queue.remove(second);
  queue.remove(first);
  queue.remove(first);
  expect(queue.size).toBe(0);
  expect(queue.head).toBeUndefined();
  queue.reinsert(second);
  expect(order(queue)).toEqual([1]);
});

test.each([
  ["one priority", [0]],
  ["some priorities", [0, -3, 7, 2 ** 31 - 1, -(2 ** 31)]],
  ["a priority each", Array.from({ length: 400 }, (_, i) => i)],
])("random operations of %s keep the order", (_, priorities) => {
  const random = new Random(1);
  const requests = makeRequests(400, () => random.pick(priorities));
  const queue = new RequestQueue();
  const queued = new Set<number>();
  const taken: Request[] = [];
  for (const request of requests) {
    queue.push(request);
    queued.add(request.arrivalIndex);
    if (random.chance(0.5)) {
      const gone = random.chance(0.5) ? queue.head! : requests[random.pick([...queued])]!;
      queue.remove(gone);
      queued.delete(gone.arrivalIndex);
      taken.push(gone);
    }
    if (taken.length > 0 && random.chance(0.3)) {
      const back = taken.splice(random.below(taken.length), 1)[0]!;
      queue.reinsert(back);
      queued.add(back.arrivalIndex);
    }
    const expected = [...queued].map((i) => requests[i]!);
    expected.sort((a, b) => a.priority - b.priority || a.arrivalIndex - b.arrivalIndex);
    expect([...queue]).toEqual(expected);
    expect([queue.head, queue.size]).toEqual([expected[0], expected.length]);
  }
});
