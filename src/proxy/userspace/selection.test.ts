import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backendSet, frontend, ip, port } from "../../core/proxy/fixtures.test.ts";
import type { Backend } from "../../core/proxy/frontend.ts";
import { hashedBackend } from "../../core/proxy/source-hash.ts";
import { Selection } from "./selection.ts";

const BACKENDS: readonly Backend[] = [1, 2, 3, 4].map((n) => ({
  address: ip(`127.112.0.${String(n)}`),
  port: port(8080),
  isLocal: true,
}));
const CLIENTS = Array.from({ length: 50 }, (_, n) => ip(`127.0.0.${String(n + 1)}`));

describe("the userspace plane with portolan.dev/balance: source-hash", () => {
  const hashed = frontend({ target: backendSet(BACKENDS, { balance: "source-hash" }) });
  let random = 0;
  const selection = new Selection({
    node: { internalRanges: [] },
    random: () => (random = (random + 0.37) % 1),
    nowMs: () => 0,
  });

  it("gives each client the backend that core/proxy says, as the kernel does", () => {
    const chosen = CLIENTS.map((client) => {
      const result = selection.select(hashed, client);
      assert.ok(result.kind === "forward");
      assert.equal(result.backend, hashedBackend(BACKENDS, client));
      return result.backend;
    });
    assert.equal(new Set(chosen).size, BACKENDS.length);
  });

  it("gives it, where that one does not answer, the backend it would have without it", () => {
    for (const client of CLIENTS) {
      const first = hashedBackend(BACKENDS, client);
      assert.ok(first !== undefined);
      const rest = BACKENDS.filter((each) => each !== first);
      assert.equal(selection.selectOther(hashed, client, [first]), hashedBackend(rest, client));
    }
    assert.equal(selection.selectOther(hashed, ip("127.0.0.1"), BACKENDS), undefined);
  });
});
