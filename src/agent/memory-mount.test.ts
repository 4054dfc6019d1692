import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isMountPoint } from "./memory-mount.ts";

describe("isMountPoint()", () => {
  const mounts = [
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
    String.raw`40 22 0:31 / /a\040b\134c rw,nosuid - tmpfs tmpfs rw`,
    "",
  ].join("\n");

  it("finds a folder as the kernel writes it", () => {
    assert.equal(isMountPoint(mounts, "/"), true);
    assert.equal(isMountPoint(mounts, String.raw`/a b\c`), true);
    assert.equal(isMountPoint(mounts, "/a"), false);
    assert.equal(isMountPoint(mounts, ""), false);
  });
});
