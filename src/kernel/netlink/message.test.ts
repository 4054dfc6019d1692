import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import {
  listAttributes,
  readAttributes,
  readMessages,
  readText,
  readU32be,
  readU64be,
} from "./message-reader.ts";
import { MessageWriter } from "./message-writer.ts";

it("writes a message as RFC 3549 says: header, attributes aligned to four bytes", () => {
  const writer = new MessageWriter();
  const message = writer.beginMessage(0xa06, 0x401, 7);
  writer.raw(Uint8Array.of(2, 0, 0, 0));
  writer.text(1, "abc");
  writer.u8(9, 5);
  const list = writer.begin(4);
  writer.u32be(1, 258);
  writer.u32(2, 258);
  writer.u16be(3, 80);
  writer.end(list);
  writer.endMessage(message);
  assert.equal(
    Buffer.from(writer.bytes()).toString("hex"),
    [
      // length 64, type, flags, sequence, port
      "40000000",
      "060a0104",
      "07000000",
      "00000000",
      // the protocol's own header
      "02000000",
      // "abc" and its NUL
      "08000100",
      "61626300",
      // one byte and its padding
      "05000900",
      "05000000",
      // nested: 28 bytes, flag 0x8000
      "1c000480",
      "08000100",
      "00000102",
      "08000200",
      "02010000",
      "06000300",
      "00500000",
    ].join(""),
  );
});

it("refuses an attribute that its length cannot say", () => {
  const writer = new MessageWriter();
  const list = writer.begin(1);
  writer.binary(1, new Uint8Array(65_000));
  writer.binary(1, new Uint8Array(600));
  assert.throws(() => {
    writer.end(list);
  }, RangeError);
});

it("reading gives back what was written", () => {
  const plain = { noNullPrototype: true };
  const attribute = fc.record(
    { type: fc.integer({ min: 1, max: 100 }), bytes: fc.uint8Array() },
    plain,
  );
  const message = fc.record(
    {
      type: fc.integer({ min: 3, max: 0xffff }),
      flags: fc.integer({ min: 0, max: 0xffff }),
      sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
      attributes: fc.array(attribute),
    },
    plain,
  );
  fc.assert(
    fc.property(fc.array(message), (messages) => {
      const writer = new MessageWriter();
      for (const each of messages) {
        const start = writer.beginMessage(each.type, each.flags, each.sequence);
        for (const { type, bytes } of each.attributes) writer.binary(type, bytes);
        writer.endMessage(start);
      }
      const read = readMessages(writer.bytes()).map(({ type, flags, sequence, body }) => ({
        type,
        flags,
        sequence,
        attributes: listAttributes(body).map(([kind, bytes]) => ({
          type: kind,
          bytes: Uint8Array.from(bytes),
        })),
      }));
      assert.deepEqual(read, messages);
    }),
  );
});

it("bytes that are no messages end the reading, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      for (const { body } of readMessages(bytes)) readAttributes(body);
      readAttributes(bytes);
      readText(bytes);
      assert.equal(readU32be(bytes) === undefined, bytes.length < 4);
      assert.equal(readU64be(bytes) === undefined, bytes.length < 8);
    }),
  );
});
