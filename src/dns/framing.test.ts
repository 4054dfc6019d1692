import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { MessageFraming } from "./framing.ts";

it("MessageFraming gives back the messages, however the stream was cut into chunks", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
  const cuts = fc.array(fc.nat(1800), { maxLength: 12 });
  fc.assert(
    fc.property(messages, cuts, (sent, at) => {
      const stream = Buffer.concat(sent.map((message) => MessageFraming.frame(message)));
      const bounds = [...at.map((cut) => cut % (stream.length + 1)), 0, stream.length];
      bounds.sort((x, y) => x - y);
      const framing = new MessageFraming();
      const received: Uint8Array[] = [];
      for (const [i, start] of bounds.entries()) {
        framing.push(stream.subarray(start, bounds[i + 1] ?? stream.length));
        for (let next = framing.next(); next !== undefined; next = framing.next()) {
          received.push(Uint8Array.from(next));
        }
      }
      assert.deepEqual(received, sent);
      assert.equal(framing.hasMessage(), false);
    }),
  );
});
