import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leaseKind } from "../../src/api/coordination/lease.kind.ts";
import type { Lease } from "../../src/api/coordination/lease.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { clusterCertificates } from "../../src/apiserver/certificates.ts";
import { listen } from "../../src/apiserver/http.ts";
import { startLeaderElection } from "../../src/controllers/leader-election.ts";
import { ADMIN, SILENT } from "../apiserver/test-server.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const LEASE = "portolan-controllers";

function holderOf(leases: readonly Lease[], name = LEASE): string | undefined {
  return leases.find(({ metadata }) => metadata.name === name)?.spec.holderIdentity;
}

interface Write {
  readonly by: string;
  readonly what: string;
}

/** The plane's API over a socket, with a record of what each contender wrote beside Leases and Events. */
async function serve(plane: ControlPlane) {
  const folder = await mkdtemp(join(tmpdir(), "election-"));
  const certificates = await clusterCertificates({
    dir: undefined,
    apiServerNames: ["127.0.0.1"],
    agentNames: [],
    clusterDomain: "cluster.local",
    now: Date.now,
  });
  const authority = join(folder, "ca.pem");
  await writeFile(authority, certificates.authority);
  const writes: Write[] = [];
  const listener = await listen({
    address: "127.0.0.1",
    port: 0,
    tls: {
      key: certificates.apiServer.key,
      cert: certificates.apiServer.certificate,
      clientCa: certificates.authority,
    },
    handler: (request) => {
      const { authorization = "", ...headers } = request.headers;
      const by = authorization.replace("Bearer ", "");
      const isNoted = request.method !== "GET" && !/\/(leases|events)\b/.test(request.url);
      if (isNoted)
        writes.push({ by, what: `${request.method} ${request.url.replace(/\?.*/, "")}` });
      return plane.handle({ ...request, headers }, ADMIN);
    },
    log: SILENT,
  });
  const children: ChildProcess[] = [];
  return {
    writes,
    contender(identity: string): ChildProcess {
      const url = `https://127.0.0.1:${String(listener.port)}`;
      const program = "test/controllers/contender.test-program.ts";
      const args = ["--import", "tsx", program, url, authority, identity];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
      children.push(child);
      return child;
    },
    async [Symbol.asyncDispose]() {
      for (const child of children) {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill("SIGKILL");
          await once(child, "exit");
        }
      }
      await listener[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

describe("leader election", () => {
  it("lets a second control plane take over when the first is killed, with no double writes", async () => {
    await using plane = await startControlPlane();
    await using api = await serve(plane);
    await plane.node("a");
    const placed = (count: number): Promise<unknown> =>
      plane.until(
        podKind,
        (pods) => pods.filter(({ spec }) => spec.nodeName === "a").length === count,
      );
    const first = api.contender("first");
    await plane.until(leaseKind, (leases) => holderOf(leases) === "first");
    const second = api.contender("second");
    for (let i = 0; i < 5; i++) await plane.pod(`p${String(i)}`);
    await plane.service("web", { type: "LoadBalancer" });
    await placed(5);
    await plane.until(serviceKind, (all) =>
      all.some(({ status }) => status?.loadBalancer?.ingress?.[0]?.ip !== undefined),
    );
    first.kill("SIGKILL");
    await once(first, "exit");
    for (let i = 5; i < 10; i++) await plane.pod(`p${String(i)}`);
    await placed(10);
    const leases = await plane.until(leaseKind, (all) => holderOf(all) === "second");
    const record = leases.find(({ metadata }) => metadata.name === LEASE)?.spec;
    assert.equal(record?.leaseTransitions, 1);

    const by = (name: string): readonly number[] =>
      api.writes.flatMap((write, i) => (write.by === name ? [i] : []));
    assert.ok(by("first").length > 0 && by("second").length > 0);
    assert.ok(Math.max(...by("first")) < Math.min(...by("second")), "the two wrote at one time");
    const bindings = api.writes.filter(({ what }) => what.endsWith("/binding"));
    assert.equal(new Set(bindings.map(({ what }) => what)).size, 10);
    assert.equal(bindings.length, 10);

    second.kill("SIGTERM");
    assert.deepEqual(await once(second, "exit"), [0, null]);
    await plane.until(leaseKind, (all) => holderOf(all) === "");
  });

  it("hands over at once when the leader ends, though the clocks are hours apart", async () => {
    await using plane = await startControlPlane();
    const log: string[] = [];
    const contend = (identity: string, skewMs: number): AsyncDisposable =>
      startLeaderElection(
        { ...plane.deps, now: () => Date.now() + skewMs },
        {
          namespace: "kube-system",
          name: "work",
          identity,
          leaseMs: 600_000,
          renewMs: 500_000,
          retryMs: 5,
          lead: () => {
            log.push(`${identity} begins`);
            return {
              [Symbol.asyncDispose]: () => {
                log.push(`${identity} ends`);
                return Promise.resolve();
              },
            };
          },
        },
      );
    const late = contend("late", -7_200_000);
    await plane.until(leaseKind, (leases) => holderOf(leases, "work") === "late");
    await using _early = contend("early", 7_200_000);
    // Renewed a few times while the other looks on.
    const seen = new Set<string | undefined>();
    await plane.until(leaseKind, (leases) => {
      seen.add(leases.find(({ metadata }) => metadata.name === "work")?.spec.renewTime);
      return seen.size > 5;
    });
    assert.deepEqual(log, ["late begins"]);
    await late[Symbol.asyncDispose]();
    await plane.until(leaseKind, (leases) => holderOf(leases, "work") === "early");
    await plane.until(eventKind, (events) =>
      events.some(({ message }) => message === "early became leader"),
    );
    assert.deepEqual(log, ["late begins", "late ends", "early begins"]);
  });

  it("stops the work when somebody else takes the Lease away", async () => {
    await using plane = await startControlPlane();
    let isWorking = false;
    await using _election = startLeaderElection(plane.deps, {
      namespace: "kube-system",
      name: "work",
      identity: "us",
      retryMs: 5,
      lead: () => {
        isWorking = true;
        return {
          [Symbol.asyncDispose]: () => {
            isWorking = false;
            return Promise.resolve();
          },
        };
      },
    });
    await plane.until(leaseKind, (leases) => holderOf(leases, "work") === "us");
    await plane.until(eventKind, (events) =>
      events.some(({ message }) => message === "us became leader"),
    );
    assert.equal(isWorking, true);
    const ref = { namespace: "kube-system", name: "work" };
    const body = { spec: { holderIdentity: "them", leaseDurationSeconds: 600 } };
    await plane.client.patch(leaseKind, ref, { kind: "merge", body });
    await plane.until(eventKind, (events) =>
      events.some(({ message }) => message === "us stopped leading"),
    );
    assert.equal(isWorking, false);
  });
});
