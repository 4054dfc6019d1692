import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backendSet, frontend, ip, port } from "../core/proxy/fixtures.test.ts";
import type { Frontend } from "../core/proxy/frontend.ts";
import { createLogger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { trafficBody, TrafficCounters } from "./traffic.ts";
import type { FrontendTraffic, ReadTraffic } from "./traffic.ts";

const TARGET = backendSet([]);
const at = (address: string): Frontend => frontend({ target: TARGET, address: ip(address) });
const CLUSTER_IP = at("10.96.0.1");
const EXTERNAL = at("203.0.113.1");
const counted = (frontend: Frontend, newConnections: number | undefined): FrontendTraffic => ({
  frontend,
  newConnections,
  open: [],
});

function rig(read: ReadTraffic) {
  const metrics = new Metrics();
  const lines: string[] = [];
  const log = createLogger({
    write: (line) => lines.push(line),
    level: "debug",
    format: "text",
    now: () => new Date(0),
  });
  const counters = new TrafficCounters({ read, metrics, log });
  const total = async (): Promise<string | undefined> => {
    await counters.refresh();
    return /^portolan_proxy_service_connections_total\{(.*)$/m.exec(metrics.render())?.[1];
  };
  return { counters, total, lines };
}

describe("counters of connections by Service port", () => {
  it("sum up a port's frontends, and go on when one of them began anew", async () => {
    let now = [counted(CLUSTER_IP, 5), counted(EXTERNAL, 2)];
    const { total } = rig(() => Promise.resolve(now));
    const labels = 'service="default/web",port="",protocol="TCP"}';
    assert.equal(await total(), `${labels} 7`);
    assert.equal(await total(), `${labels} 7`);
    now = [counted(CLUSTER_IP, 6), counted(EXTERNAL, 1)];
    assert.equal(await total(), `${labels} 9`);
    now = [counted(CLUSTER_IP, 6)];
    assert.equal(await total(), `${labels} 9`);
  });

  it("count nothing twice when a reading lacked a frontend", async () => {
    let now = [counted(CLUSTER_IP, 5), counted(EXTERNAL, 2)];
    const { total } = rig(() => Promise.resolve(now));
    await total();
    now = [counted(CLUSTER_IP, undefined), counted(EXTERNAL, 3)];
    const labels = 'service="default/web",port="",protocol="TCP"}';
    assert.equal(await total(), `${labels} 8`);
    now = [counted(CLUSTER_IP, 6), counted(EXTERNAL, 3)];
    assert.equal(await total(), `${labels} 9`);
  });

  it("take a frontend that another Service got from the beginning", async () => {
    const other = backendSet([], { portName: "other" });
    let now = [counted(CLUSTER_IP, 5)];
    const { total } = rig(() => Promise.resolve(now));
    await total();
    now = [counted({ ...CLUSTER_IP, target: other }, 6)];
    await total();
    now = [counted({ ...CLUSTER_IP, target: other }, 7)];
    assert.equal(await total(), 'service="default/web",port="other",protocol="TCP"} 7');
  });

  it("go with the Service", async () => {
    let now = [counted(CLUSTER_IP, 5)];
    const { total } = rig(() => Promise.resolve(now));
    await total();
    now = [];
    assert.equal(await total(), undefined);
  });

  it("are not there where the kernel cannot be asked", async () => {
    const { total } = rig(() => Promise.resolve([counted(CLUSTER_IP, undefined)]));
    assert.equal(await total(), undefined);
  });

  it("readings at the same time are one, and a failure is logged and stops nothing", async () => {
    let reads = 0;
    const { counters, total, lines } = rig(() => {
      reads++;
      return reads === 1
        ? Promise.reject(new Error("no netlink"))
        : Promise.resolve([counted(CLUSTER_IP, 1)]);
    });
    await Promise.all([counters.refresh(), counters.refresh()]);
    assert.equal(reads, 1);
    assert.match(lines.join(""), /connections cannot be counted.*no netlink/);
    assert.match((await total()) ?? "", / 1$/);
  });
});

describe("GET /traffic", () => {
  it("tells for each frontend whose it is, its new connections and those open at each endpoint", () => {
    const endpoint = { address: ip("fd00::1"), port: port(8080) };
    const traffic = [{ ...counted(CLUSTER_IP, 3), open: [{ endpoint, count: 2 }] }];
    assert.deepEqual(JSON.parse(trafficBody([...traffic, counted(EXTERNAL, undefined)])), {
      frontends: [
        {
          service: "default/web",
          port: "",
          protocol: "TCP",
          address: "10.96.0.1:80",
          kind: "clusterIP",
          newConnections: 3,
          open: [{ endpoint: "[fd00::1]:8080", connections: 2 }],
        },
        {
          service: "default/web",
          port: "",
          protocol: "TCP",
          address: "203.0.113.1:80",
          kind: "clusterIP",
          newConnections: null,
          open: [],
        },
      ],
    });
  });
});
