import assert from "node:assert/strict";
import { it } from "node:test";
import { parseMountPoints } from "./mount-points.ts";

it("parseMountPoints() finds folders as the kernel writes them", () => {
  const mounts = [
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
    String.raw`40 22 0:31 / /a\040b\134c rw,nosuid - tmpfs tmpfs rw`,
    "",
  ].join("\n");
  assert.deepEqual(parseMountPoints(mounts), ["/", String.raw`/a b\c`]);
});
