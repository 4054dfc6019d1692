import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { objectKey } from "../api/machinery/object-key.ts";
import { ip, port } from "../core/proxy/fixtures.test.ts";
import { createLogger } from "../telemetry/logger.ts";
import { HealthChecks } from "./healthcheck.ts";

const WEB = objectKey({ namespace: "default", name: "web" });
const log = createLogger({
  write: () => undefined,
  level: "error",
  format: "text",
  now: () => new Date(0),
});

describe("health checks of load-balanced Services", { timeout: 30_000 }, () => {
  it("HC-002, HC-003, HC-004: answer any path with the count of this node's endpoints", async () => {
    let isHealthy = true;
    using checks = new HealthChecks({ log, isHealthy: () => isHealthy, onFailure: assert.fail }, [
      ip("127.80.70.1"),
      ip("127.80.70.2"),
    ]);
    await checks.set(WEB, { port: port(31_000), localEndpoints: 2 });
    for (const address of ["127.80.70.1", "127.80.70.2"]) {
      const response = await fetch(`http://${address}:31000/any/path`);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.equal(response.headers.get("x-load-balancing-endpoint-weight"), "2");
      assert.deepEqual(await response.json(), {
        service: { namespace: "default", name: "web" },
        localEndpoints: 2,
        serviceProxyHealthy: true,
      });
    }
    isHealthy = false;
    assert.equal((await fetch("http://127.80.70.1:31000/healthz")).status, 503);
    isHealthy = true;
    // TERM-005: no ready endpoint here any more, whatever still serves.
    await checks.set(WEB, { port: port(31_000), localEndpoints: 0 });
    assert.equal((await fetch("http://127.80.70.1:31000/healthz")).status, 503);
  });

  it("HC-006: the port moves and closes with the Service", async () => {
    using checks = new HealthChecks({ log, isHealthy: () => true, onFailure: assert.fail }, [
      ip("127.80.71.1"),
    ]);
    await checks.set(WEB, { port: port(31_001), localEndpoints: 1 });
    await checks.set(WEB, { port: port(31_002), localEndpoints: 1 });
    await assert.rejects(fetch("http://127.80.71.1:31001/"));
    assert.equal((await fetch("http://127.80.71.1:31002/")).status, 200);
    await checks.set(WEB, undefined);
    await assert.rejects(fetch("http://127.80.71.1:31002/"));
  });

  it("HC-007, HC-014: a port in use is reported, and opened once it is free", async () => {
    const squatter = createServer().listen(31_003, "127.80.72.1");
    await once(squatter, "listening");
    const failures: string[] = [];
    using checks = new HealthChecks(
      {
        log,
        isHealthy: () => true,
        onFailure: (service, message) => failures.push(`${service} ${message}`),
      },
      [ip("127.80.72.1")],
    );
    await checks.set(WEB, { port: port(31_003), localEndpoints: 1 });
    assert.deepEqual(failures, [
      "default/web node failed to start healthcheck on 127.80.72.1:31003: EADDRINUSE",
    ]);
    assert.equal(checks.hasFailures, true);
    squatter.close();
    await once(squatter, "close");
    await checks.retry();
    assert.equal(checks.hasFailures, false);
    assert.equal((await fetch("http://127.80.72.1:31003/")).status, 200);
  });
});
