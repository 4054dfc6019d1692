import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { readMessages } from "../netlink/message-reader.ts";
import { Batch } from "./batch.ts";
import { ElementWriter } from "./element-writer.ts";

const TABLE = { family: "ip", name: "here" } as const;
/** Messages that a batch begins and ends with. */
const [BEGIN, END] = [0x10, 0x11];
const ENVELOPE = 20;

function batchOf(elements: readonly number[]): Batch {
  const batch = new Batch();
  batch.newTable(TABLE, 0, "for a test");
  for (const count of elements) {
    const writer = new ElementWriter("add", TABLE, "numbers");
    for (let i = 0; i < count; i++) writer.add(Uint8Array.of(i, i >> 8, 0, 0));
    batch.addMessages(writer.finish());
  }
  return batch;
}

it("begins and ends with the kernel's own messages, in network order", () => {
  const batch = new Batch();
  assert.equal(
    Buffer.from(batch.finish()).toString("hex"),
    [
      // length 20, type, request, number, port; no family, version 0, subsystem 10
      "1400000010000100010000000000000000" + "00000a",
      "1400000011000100020000000000000000" + "00000a",
    ].join(""),
  );
});

it("numbers every message, so that a refusal names it", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 5 }), (elements) => {
      const messages = readMessages(batchOf(elements).finish());
      assert.deepEqual(
        messages.map(({ sequence }) => sequence),
        messages.map((_, i) => i + 1),
      );
    }),
  );
});

it("in parts it holds the same messages in the same order, and no part is larger than it may be", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 200_000 }),
      (elements, limit) => {
        const whole = readMessages(batchOf(elements).finish()).slice(1, -1);
        const parts = batchOf(elements).finishInParts(limit);
        const inside = parts.map((part) => {
          const messages = readMessages(part);
          assert.equal(messages[0]?.type, BEGIN);
          assert.equal(messages.at(-1)?.type, END);
          const own = messages.slice(1, -1);
          const [only] = own;
          const isAlone = own.length === 1 && only !== undefined;
          assert.ok(part.length <= limit || isAlone, String(part.length));
          assert.ok(!isAlone || part.length === only.body.length + 16 + 2 * ENVELOPE);
          return own;
        });
        assert.deepEqual(
          inside.flat().map(({ type, sequence, body }) => [type, sequence, Buffer.from(body)]),
          whole.map(({ type, sequence, body }) => [type, sequence, Buffer.from(body)]),
        );
      },
    ),
  );
});
