import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { diffBackends } from "../../core/proxy/backend-list.ts";
import { ip, port } from "../../core/proxy/fixtures.test.ts";
import type { Backend } from "../../core/proxy/frontend.ts";
import { SlotList } from "./slot-list.ts";

const backend = (n: number): Backend => ({
  address: ip(`10.0.0.${String(n)}`),
  port: port(80),
  isLocal: false,
});
const sorted = fc
  .uniqueArray(fc.integer({ min: 1, max: 40 }))
  .map((numbers) => numbers.map(backend).sort((a, b) => (a.address < b.address ? -1 : 1)));

it("has the endpoints of the last state in slots without holes, and its changes are what a map needs", () => {
  fc.assert(
    fc.property(fc.array(sorted, { maxLength: 8 }), (states) => {
      const list = new SlotList();
      const map = new Map<number, string>();
      let before: readonly Backend[] = [];
      for (const after of states) {
        const { removed, added } = diffBackends(before, after);
        const changes = list.change(removed, added);
        for (const change of changes) assert.equal(map.get(change.slot), change.before?.address);
        for (const change of changes) map.delete(change.slot);
        for (const change of changes) {
          if (change.after !== undefined) map.set(change.slot, change.after.address);
        }
        assert.deepEqual([...map.values()].sort(), after.map((each) => each.address).sort());
        assert.deepEqual(
          [...map.keys()].sort((a, b) => a - b),
          [...after.keys()],
        );
        assert.ok(after.length === 0 || 2 ** list.log2 >= after.length);
        assert.ok(after.length <= 1 || 2 ** (list.log2 - 1) < after.length);
        before = after;
      }
    }),
  );
});

it("one endpoint more changes one slot, one less at most two, however long the list is", () => {
  const all = Array.from({ length: 200 }, (_, i) => backend(i + 1));
  const list = new SlotList();
  list.change([], all.slice(0, 199));
  assert.equal(list.change([], all.slice(199)).length, 1);
  assert.equal(list.change(all.slice(7, 8), []).length, 2);
  assert.equal(list.length, 199);
});
