// Contract: lists that begin with shared memory never change it, nor what others have read from them.
import { expect, test } from "vitest";
import { HashList, TokenList } from "../../lib/schedule/tokenList.js";

test("lists with the same ids grow apart, and leave the ids alone", () => {
  const ids = Int32Array.of(1, 2, 3);
  const [a, b] = [new TokenList(ids), new TokenList(ids)];
  for (let id = 10; id < 60; id++) expect(a.push(id)).toBe(id - 6);
  b.push(7);
  expect([...a]).toEqual([1, 2, 3, ...Array.from({ length: 50 }, (_, i) => 10 + i)]);
  expect([...b]).toEqual([1, 2, 3, 7]);
  expect([...ids]).toEqual([1, 2, 3]);
  expect([b.length, b.at(3), b.at(4), b.at(1e6)]).toEqual([4, 7, undefined, undefined]);
});

test("a view keeps its length and its ids while the list grows", () => {
  const list = new TokenList(Int32Array.of(1));
  list.push(2);
  const views = [list.view(), list.view(1), list.view(0, 100)];
  for (let id = 3; id < 40; id++) list.push(id);
  expect(views.map((view) => [...view])).toEqual([[1, 2], [2], [1, 2]]);
});

test("a list of hashes that begins with another's has its own later ones, and so has the other", () => {
  const hash = (byte: number): string => String.fromCharCode(byte).repeat(32);
  const first = new HashList();
  for (let i = 0; i < 20; i++) first.push(hash(i));
  const second = new HashList(first);
  first.push(hash(100));
  second.push(hash(255));
  expect([first.length, second.length]).toEqual([21, 21]);
  expect([first.at(0), first.at(20), second.at(19), second.at(20)]).toEqual([0, 100, 19, 255].map(hash));
});
