import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import { hasReason } from "../../src/api/machinery/status.ts";
import { endpointsKind } from "../../src/api/v1/endpoints.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { clusterCertificates } from "../../src/apiserver/certificates.ts";
import { listen } from "../../src/apiserver/http.ts";
import type { ApiClient } from "../../src/client/client.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { ADMIN, SILENT, startTestServer } from "../apiserver/test-server.ts";
import { endpointProblems } from "./endpoint-problems.ts";

/** As the program has it. */
const MAX_PER_SLICE = 3;
const SERVICES = 6;
const PODS = 30;
/** Writers at once, so that the loops are always in the middle of something. */
const WRITERS = 4;

export interface KillReport {
  readonly kills: number;
  readonly churnWrites: number;
  readonly loopWrites: number;
}

/**
 * Runs the loops of endpoints as a program of its own against an API server that lives on, and kills it
 * `times` times in the middle of its writes while clients change Services, Pods and Endpoints. Each time, once
 * it runs again and nothing changes any more, everything must become as the pure functions say; the wait for
 * that is limited by whoever calls.
 * @param random in [0, 1).
 */
export async function runKills(
  times: number,
  random: () => number,
  log: (text: string) => void,
): Promise<KillReport> {
  const dir = await mkdtemp(join(tmpdir(), "loop-kills-"));
  const api = await startTestServer();
  const certificates = await clusterCertificates({
    dir: undefined,
    apiServerNames: [],
    agentNames: [],
    clusterDomain: "cluster.local",
    now: Date.now,
  });
  const { apiServer, authority, admin } = certificates;
  const listener = await listen({
    address: "127.0.0.1",
    port: 0,
    tls: { key: apiServer.key, cert: apiServer.certificate, clientCa: authority },
    handler: (request, user) => api.server.handle(request, user),
    log: SILENT,
  });
  const settings = join(dir, "settings.json");
  await writeFile(settings, JSON.stringify({ authority, ...admin }), { mode: 0o600 });
  const client = createClient({ transport: (request) => api.server.handle(request, ADMIN) });
  const informers = createInformers({ client, log: SILENT });
  const [services, pods, nodes, slices, endpoints] = [
    informers.of(serviceKind),
    informers.of(podKind),
    informers.of(nodeKind),
    informers.of(endpointSliceKind),
    informers.of(endpointsKind),
  ] as const;
  const problems = (): readonly string[] =>
    endpointProblems(
      {
        services: services.list(),
        pods: pods.list(),
        nodes: nodes.list(),
        slices: slices.list(),
        endpoints: endpoints.list(),
      },
      MAX_PER_SLICE,
    );
  /** Resolves when `holds`, looked at after each change: one informer may hear of its kind later than another. */
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const subscriptions: Disposable[] = [];
      let isDone = false;
      const look = (): void => {
        if (isDone || !holds()) return;
        isDone = true;
        resolve();
        setImmediate(() => {
          for (const one of subscriptions) one[Symbol.dispose]();
        });
      };
      for (const informer of [services, pods, nodes, slices, endpoints])
        subscriptions.push(informer.onChange(look));
      look();
    });
  let churnWrites = 0;
  let loopWrites = 0;
  let child: ChildProcess | undefined;
  try {
    for (const name of ["node-0", "node-1"]) await client.create(nodeKind, { metadata: { name } });
    const never = new AbortController().signal;
    for (const informer of [services, pods, nodes, slices, endpoints]) await informer.synced(never);
    for (let kill = 0; kill <= times; kill++) {
      child = await startLoops(`https://127.0.0.1:${String(listener.port)}`, settings);
      log(`start ${String(kill + 1)}: ${String(problems().length)} things to put right`);
      await until(() => problems().length === 0);
      if (kill === times) break;
      let left = 1 + Math.floor(random() * 40);
      let isOver = false;
      const writers = Array.from({ length: WRITERS }, async () => {
        while (!isOver) {
          await churn(client, random);
          churnWrites++;
        }
      });
      // Counts what the loops write; the writers write only what is not of this kind, or Endpoints of their own.
      const counter = slices.onChange(() => {
        loopWrites++;
        left--;
      });
      await until(() => left <= 0);
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      counter[Symbol.dispose]();
      // Some more changes that nobody is there to see.
      isOver = true;
      await Promise.all(writers);
    }
    return { kills: times, churnWrites, loopWrites };
  } finally {
    child?.kill("SIGKILL");
    await informers[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  }
}

async function startLoops(url: string, settings: string): Promise<ChildProcess> {
  const program = join(import.meta.dirname, "endpoint-loops.test-program.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, url, settings], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await Promise.race([
    once(child.stdout, "data"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the loops ended with ${String(code)} before they were ready`);
    }),
  ]);
  return child;
}

/** One change by a user or a node agent, at random. */
async function churn(client: ApiClient, random: () => number): Promise<void> {
  const namespace = "default";
  const pick = (count: number): string => String(Math.floor(random() * count));
  const ports = [{ name: "http", port: 80, protocol: "TCP" as const, targetPort: 8080 }];
  const choice = random();
  try {
    if (choice < 0.08) {
      const name = `s${pick(SERVICES)}`;
      const spec = { selector: { app: name }, ports };
      await client.create(serviceKind, { metadata: { name, namespace }, spec });
    } else if (choice < 0.11) {
      await client.delete(serviceKind, { namespace, name: `s${pick(SERVICES)}` });
    } else if (choice < 0.15) {
      const body = { metadata: { labels: { tier: pick(3) } } };
      const ref = { namespace, name: `s${pick(SERVICES)}` };
      await client.patch(serviceKind, ref, { kind: "merge", body });
    } else if (choice < 0.2) {
      const name = `m${pick(3)}`;
      await client.create(serviceKind, { metadata: { name, namespace }, spec: { ports } });
    } else if (choice < 0.3) {
      const name = `m${pick(3)}`;
      const subsets = [{ addresses: [{ ip: `192.0.2.${pick(200)}` }], ports: [{ port: 80 }] }];
      const ref = { namespace, name };
      if (random() < 0.3) await client.delete(endpointsKind, ref);
      else await client.patch(endpointsKind, ref, { kind: "merge", body: { subsets } });
    } else if (choice < 0.33) {
      const subsets = [{ addresses: [{ ip: "192.0.2.250" }], ports: [] }];
      await client.create(endpointsKind, {
        metadata: { name: `m${pick(3)}`, namespace },
        subsets,
      });
    } else if (choice < 0.55) {
      await client.create(podKind, {
        metadata: {
          name: `p${pick(PODS)}`,
          namespace,
          labels: { app: `s${pick(SERVICES)}` },
        },
        spec: { nodeName: `node-${pick(2)}`, containers: [{ name: "main", image: "none" }] },
      });
    } else if (choice < 0.65) {
      const ref = { namespace, name: `p${pick(PODS)}` };
      await client.delete(podKind, ref, { gracePeriodSeconds: random() < 0.5 ? 0 : 30 });
    } else {
      const name = `p${pick(PODS)}`;
      const status = random() < 0.8 ? "True" : "False";
      const ip = `10.1.0.${name.slice(1)}`;
      const conditions = [{ type: "Ready", status, lastTransitionTime: "2025-01-01T00:00:00Z" }];
      const body = { status: { phase: "Running", podIP: ip, podIPs: [{ ip }], conditions } };
      const ref = { namespace, name };
      await client.patch(podKind, ref, { kind: "strategic", body }, { subresource: "status" });
    }
  } catch (error) {
    // Made twice, or gone already: the dice know nothing of what there is.
    if (!hasReason(error, "AlreadyExists", "NotFound", "Conflict")) throw error;
  }
}
