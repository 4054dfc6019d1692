import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { ip, port } from "../../core/proxy/fixtures.test.ts";
import { add, change, frontendFor, readAll, remove, Scope, tryConnect } from "./fixtures.test.ts";
import { firstUnprivilegedPort } from "./stand-in.ts";

// Root gives its privilege up for a moment, so that binding is refused as it is for users.
async function asUser<T>(act: () => Promise<T>): Promise<T> {
  const { geteuid, seteuid } = process;
  const uid = geteuid?.();
  if (uid !== 0 || seteuid === undefined) return act();
  seteuid(65_534);
  try {
    return await act();
  } finally {
    seteuid(uid);
  }
}

const arePortsFree = firstUnprivilegedPort() <= 443 ? "every user may bind port 443 here" : false;

describe("frontends that cannot be served", { timeout: 30_000 }, () => {
  it("an address outside 127/8 is reported, with or without endpoints, and not retried", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.50.1");
    for (const backends of [[], [backend]]) {
      const problems = await scope.plane().apply(add(frontendFor("203.0.113.9", backends)));
      assert.deepEqual(
        problems.map(({ reason, isRetryable, frontend }) => [reason, isRetryable, frontend]),
        [["AddressNotLocal", false, "TCP/203.0.113.9:8000"]],
      );
    }
  });

  it("SCTP is refused by name", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.50.2");
    const front = frontendFor("127.80.50.100", [backend], {}, { protocol: "SCTP" });
    const [problem] = await scope.plane().apply(add(front));
    assert.equal(problem?.reason, "ProtocolNotSupported");
  });

  it("an address in use is reported, keeps its report without endpoints, and is served once free", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.51.1");
    const squatter = createServer();
    squatter.listen(8000, "127.80.51.100");
    await once(squatter, "listening");
    scope.defer(() => squatter.close());
    const front = frontendFor("127.80.51.100", [backend]);
    const none = frontendFor("127.80.51.100", []);
    const plane = scope.plane();
    const [problem] = await plane.apply(add(front));
    assert.equal(problem?.reason, "AddressInUse");
    assert.match(problem.message, /^TCP 127\.80\.51\.100:8000 is in use/);
    assert.equal((await plane.apply(change(front, none)))[0]?.reason, "AddressInUse");
    assert.equal((await plane.apply(change(none, front)))[0]?.reason, "AddressInUse");
    squatter.close();
    await once(squatter, "close");
    assert.deepEqual(await plane.apply(change(front, front)), []);
    assert.match(await readAll(await scope.connect(front)), /^127\.80\.51\.1:/);
  });

  it("one that fails does not keep the others from being served", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.52.1");
    const good = frontendFor("127.80.52.100", [backend]);
    const problems = await scope.plane().apply(add(frontendFor("203.0.113.9", [backend]), good));
    assert.equal(problems.length, 1);
    assert.equal(await tryConnect(good), "connected");
  });
});

describe("ports that this user may not bind", { timeout: 30_000, skip: arePortsFree }, () => {
  it("are served on a high port beside them, which the report names", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.60.1");
    const front = frontendFor("127.80.60.100", [backend], { port: port(443) });
    const plane = scope.plane();
    const [problem] = await asUser(() => plane.apply(add(front)));
    assert.equal(problem?.reason, "PrivilegedPort");
    assert.match(problem.message, /sysctl net\.ipv4\.ip_unprivileged_port_start=80\b/);
    assert.match(problem.message, /127\.80\.60\.100:8443/);
    const standIn = { address: front.address, port: port(8443) };
    assert.match(await readAll(await scope.connect(standIn)), /^127\.80\.60\.1:/);
    // Nothing has changed: the same report, and the stand-in stays.
    assert.deepEqual(await asUser(() => plane.apply(change(front, front))), [problem]);
    assert.equal(await tryConnect(standIn), "connected");
    await plane.apply(remove(front));
    assert.equal(await tryConnect(standIn), "ECONNREFUSED");
  });

  it("are served themselves once the user may bind them, and the high port is given back", {
    skip: process.geteuid?.() !== 0 && "only root can stand for a user who was allowed to",
  }, async () => {
    await using scope = new Scope();
    const front = frontendFor("127.80.62.100", [await scope.named("127.80.62.1")], {
      port: port(443),
    });
    let floor = 1024;
    const plane = scope.plane({}, { firstUnprivilegedPort: () => floor });
    const [problem] = await asUser(() => plane.apply(add(front)));
    assert.equal(problem?.reason, "PrivilegedPort");
    floor = 80;
    assert.deepEqual(await plane.apply(change(front, front)), []);
    assert.match(await readAll(await scope.connect(front)), /^127\.80\.62\.1:/);
    assert.equal(await tryConnect({ ...front, port: port(8443) }), "ECONNREFUSED");
  });

  it("take the next high port where a Service has that one, also when that Service comes later", async () => {
    await using scope = new Scope();
    const [web, other] = [await scope.named("127.80.61.1"), await scope.named("127.80.61.2")];
    const front = frontendFor("127.80.61.100", [web], { port: port(80) });
    const owner = frontendFor("127.80.61.100", [other], { port: port(8080) });
    const plane = scope.plane();
    await asUser(() => plane.apply(add(front)));
    assert.deepEqual(await asUser(() => plane.apply(add(owner))), []);
    assert.match(await readAll(await scope.connect(owner)), /^127\.80\.61\.2:/);
    const standIn = { address: ip("127.80.61.100"), port: port(18_080) };
    assert.match(await readAll(await scope.connect(standIn)), /^127\.80\.61\.1:/);
    const [problem] = await asUser(() => plane.apply(change(front, front)));
    assert.match(String(problem?.message), /127\.80\.61\.100:18080/);
  });
});
