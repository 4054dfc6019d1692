import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasFormat } from "./format.ts";

const CASES: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  uri: [
    ["https://example.com/a", "/a", "mailto:a@b"],
    ["example", "http", "a b://c", ""],
  ],
  email: [["a@b.c"], ["a", "a@", "@b", "a@b@c"]],
  hostname: [["a.b-c.d"], ["-a", "a..b", "a_b"]],
  ipv4: [["10.0.0.1"], ["10.0.0", "::1"]],
  ipv6: [["::1"], ["10.0.0.1"]],
  cidr: [
    ["10.0.0.0/8", "fd00::/64"],
    ["10.0.0.0", "10.0.0.0/33"],
  ],
  mac: [
    ["00:11:22:aa:bb:cc", "00-11-22-aa-bb-cc"],
    ["00:11:22", "00:11-22:aa:bb:cc"],
  ],
  uuid: [["123E4567-e89b-12d3-a456-426614174000"], ["123"]],
  uuid4: [["123e4567-e89b-42d3-a456-426614174000"], ["123e4567-e89b-12d3-a456-426614174000"]],
  byte: [
    ["", "YQ=="],
    ["YQ=", "?"],
  ],
  date: [["2026-02-28"], ["2026-02-30", "2026-2-1", "2026-02-28T00:00:00Z"]],
  "date-time": [["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123+01:00"], ["2026-01-02"]],
  duration: [
    ["1h30m", "1.5s", "-2us", "0", "3 days"],
    ["", "1", "1x", "h", "1h-2m"],
  ],
  isbn: [
    ["0321751043", "978-0321751041"],
    ["0321751044", "1"],
  ],
  creditcard: [["4111-1111-1111-1111"], ["1234"]],
  ssn: [["111-22-3333"], ["11-22-3333"]],
  hexcolor: [
    ["#fFf", "abcdef"],
    ["#ab", "red"],
  ],
  rgbcolor: [["rgb(1, 2,255)"], ["rgb(1,2,256)"]],
  bsonobjectid: [["0123456789abcdef01234567"], ["x"]],
  password: [["anything"], []],
};

describe("hasFormat()", () => {
  for (const [format, [good, bad]] of Object.entries(CASES)) {
    it(`knows ${format}`, () => {
      for (const text of good) assert.equal(hasFormat(text, format), true, text);
      for (const text of bad) assert.equal(hasFormat(text, format), false, text);
    });
  }

  it("is quick for texts made to be slow", () => {
    for (const format of Object.keys(CASES)) {
      for (const text of [
        "a".repeat(60_000),
        "a.".repeat(30_000),
        "1h".repeat(30_000),
        "@a".repeat(30_000),
      ]) {
        hasFormat(text, format);
      }
    }
  });
});
