import assert from "node:assert/strict";
import { it } from "node:test";
import { ConnectionTable } from "./connection-table.ts";
import type { TableEntry } from "./connection-table.ts";

interface Fake extends TableEntry {
  readonly name: string;
}

function tableOf(bounds: ConstructorParameters<typeof ConnectionTable>[0]): {
  table: ConnectionTable<Fake>;
  closed: string[];
  make: (name: string, from?: string) => Fake;
} {
  const closed: string[] = [];
  const table = new ConnectionTable<Fake>(bounds);
  const make = (name: string, remoteAddress?: string): Fake => ({
    name,
    remoteAddress,
    destroy: () => closed.push(name),
  });
  return { table, closed, make };
}

it("ConnectionTable closes the connection that was silent longest for one too many", () => {
  const { table, closed, make } = tableOf({ maxConnections: 2 });
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => make(name)) as [Fake, Fake, Fake, Fake];
  table.admit(a);
  table.admit(b);
  table.touch(a);
  table.admit(c);
  assert.deepEqual(closed, ["b"]);
  table.remove(a);
  table.admit(d);
  assert.deepEqual(closed, ["b"]);
});

it("ConnectionTable bounds those of one address, or of one /64, and leaves those of others alone", () => {
  const { table, closed, make } = tableOf({ maxConnections: 100, maxPerSource: 2 });
  table.admit(make("other", "192.0.2.2"));
  for (const name of ["a", "b", "c"]) table.admit(make(name, "192.0.2.1"));
  table.admit(make("mapped", "::ffff:192.0.2.1"));
  assert.deepEqual(closed, ["a", "b"]);
  for (const host of [1, 2, 3]) {
    table.admit(make(`six${String(host)}`, `2001:db8:0:1::${String(host)}`));
  }
  table.admit(make("neighbour", "2001:db8:0:2::1"));
  assert.deepEqual(closed, ["a", "b", "six1"]);
});

it("ConnectionTable closes who takes no answers for longest when too much is held for all", () => {
  const { table, closed, make } = tableOf({ maxConnections: 100 });
  const mib = 1024 * 1024;
  const [a, b, c] = ["a", "b", "c"].map((name) => make(name)) as [Fake, Fake, Fake];
  for (const each of [a, b, c]) table.admit(each);
  table.noteUnsent(a, 15 * mib);
  table.noteUnsent(b, 15 * mib);
  // It took what there was.
  table.noteUnsent(a, 0);
  table.noteUnsent(c, 15 * mib);
  assert.deepEqual(closed, []);
  table.noteUnsent(a, 15 * mib);
  assert.deepEqual(closed, ["b"]);
  // What was closed holds nothing any more.
  table.noteUnsent(b, 15 * mib);
  assert.deepEqual(closed, ["b"]);
});
