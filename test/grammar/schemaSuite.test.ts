/** What becomes of the cases of others' suites is what was noted: none gets worse, and what gets better is noted (npm run check:grammar). */
import { describe, expect, it } from "vitest";
import { groupsOf, named, outcomeOf, readCategories, suites } from "./schemaSuite.js";

const categories = readCategories();

describe.each(suites)("the cases of %s", (suite) => {
  const groups = named(groupsOf(suite));

  it("are as noted", () => {
    const outcomes = Object.fromEntries([...groups].map(([name, group]) => [name, outcomeOf(group)]));
    expect(outcomes).toEqual(categories[suite]);
  });

  it("are never accepted where they are not valid", () => {
    expect(Object.entries(categories[suite]).filter(([, outcome]) => /^[anw]*w/.test(outcome))).toEqual([]);
  });
});
