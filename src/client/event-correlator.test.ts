import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventCorrelator } from "./event-correlator.ts";

const object = { apiVersion: "v1", kind: "Pod", namespace: "ns", name: "p", uid: "1" };

describe("EventCorrelator", () => {
  it("tells ten messages of a reason apart, and makes one Event of all further ones", () => {
    const correlator = new EventCorrelator();
    const tell = (i: number, ms = 0) =>
      correlator.correlate(object, "Warning", "Failed", `message ${String(i)}`, ms);
    const first = Array.from({ length: 10 }, (_, i) => tell(i));
    assert.equal(new Set(first.map(({ id }) => id)).size, 10);
    assert.equal(first[9]?.message, "message 9");
    assert.deepEqual(tell(3), first[3]);
    const [more, other] = [tell(10), tell(11)];
    assert.equal(more.message, "(combined from similar events): message 10");
    assert.equal(other.id, more.id);
    const another = correlator.correlate(object, "Warning", "Other", "message 12", 0);
    assert.equal(another.message, "message 12");
    // Ten minutes of silence end it.
    assert.equal(tell(13, 600_001).message, "message 13");
  });

  it("lets a source write 25 Events about an object at once, and then one each five minutes", () => {
    const correlator = new EventCorrelator();
    const written = (ms: number, about = object): number =>
      Array.from({ length: 100 }, () => correlator.mayWrite(about, ms)).filter(Boolean).length;
    assert.equal(written(0), 25);
    assert.equal(written(299_999), 0);
    assert.equal(written(600_001), 2);
    assert.equal(written(600_001, { ...object, name: "q" }), 25);
    assert.equal(written(1e9), 25);
  });
});
