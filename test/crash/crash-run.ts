import assert from "node:assert/strict";
import { join } from "node:path";
import { startUp } from "../e2e/portolan.ts";
import type { Home, Up } from "../e2e/portolan.ts";
import { allocationProblems } from "./allocations.ts";
import type { Allocated } from "./allocations.ts";
import { apiCaller } from "./api-client.ts";
import type { ApiCaller } from "./api-client.ts";

const SERVICES = "/api/v1/namespaces/default/services";
const WRITERS = 8;
/** Ranges of its own: while it is dead, another instance on this machine could take those of a living one. */
const ARGS = "--service-cidr 127.80.0.0/20 --pod-cidr 127.81.0.0/20";
/** The steps of one Service: created, changed twice, deleted. */
const STEPS = 4;
const DELETED = STEPS - 1;

/** What is known of a Service: how far it was asked to go, and how far that was acknowledged. */
interface Story {
  asked: number;
  acknowledged: number;
  /** As the last acknowledged answer had it. */
  last: Allocated | undefined;
}

export interface CrashReport {
  readonly crashes: number;
  readonly acknowledgedWrites: number;
  readonly services: number;
}

/**
 * Starts `portolan up`, kills it without warning while clients write Services, starts it again on what is left
 * and checks everything, `times` times over the same data dir.
 * @throws when an acknowledged write is gone, one is half there, or an address or node port is held twice
 * or by nobody.
 */
export async function runCrashes(
  home: Home,
  times: number,
  log: (text: string) => void,
): Promise<CrashReport> {
  const dataDir = join(home.path, "crash");
  const stories = new Map<string, Story>();
  let acknowledgedWrites = 0;
  let up = await startUp(home, { dataDir, args: ARGS });
  try {
    for (let i = 0; i < times; i++) {
      const goal = 20 + ((i * 37) % 180);
      acknowledgedWrites += await writeUntilKilled(up, `r${String(i)}`, goal, stories);
      up = await startUp(home, { dataDir, args: ARGS });
      await checkAll(up, stories);
      log(`crash ${String(i + 1)}: ${String(acknowledgedWrites)} acknowledged writes are there`);
    }
    return { crashes: times, acknowledgedWrites, services: stories.size };
  } finally {
    await up[Symbol.asyncDispose]();
  }
}

/** Kills the instance once `goal` writes are acknowledged and others are under way. */
async function writeUntilKilled(
  up: Up,
  round: string,
  goal: number,
  stories: Map<string, Story>,
): Promise<number> {
  using api = await apiCaller(up.kubeconfig);
  let done = 0;
  let killed: Promise<void> | undefined;
  const write = async (writer: number): Promise<void> => {
    for (let n = 0; killed === undefined; n++) {
      const name = `${round}-${String(writer)}-${String(n)}`;
      const story: Story = { asked: -1, acknowledged: -1, last: undefined };
      stories.set(name, story);
      // Every third one stays.
      const steps = n % 3 === 0 ? DELETED : STEPS;
      for (let step = 0; step < steps && killed === undefined; step++) {
        story.asked = step;
        if (!(await attempt(api, name, step, story))) return;
        done++;
        if (done >= goal) killed ??= up.kill9();
      }
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  await killed;
  return done;
}

/** @returns false when the connection broke, so that nobody knows whether it was done. */
async function attempt(api: ApiCaller, name: string, step: number, story: Story): Promise<boolean> {
  const path = `${SERVICES}/${name}`;
  const sent =
    step === DELETED
      ? api.call("DELETE", path)
      : step === 0
        ? api.call("POST", SERVICES, serviceAt(name, step, undefined))
        : api.call("PUT", path, serviceAt(name, step, story.last));
  const reply = await sent.catch(() => undefined);
  if (reply === undefined) return false;
  assert.ok(reply.status < 300, `${name}, step ${String(step)}: ${reply.text}`);
  story.acknowledged = step;
  // Every answer of these writes is the Service.
  story.last = JSON.parse(reply.text) as Allocated;
  return true;
}

function serviceAt(name: string, step: number, last: Allocated | undefined): object {
  const mark = `${String(step)}-${"x".repeat(500)}`;
  return {
    ...last,
    metadata: { ...last?.metadata, name, annotations: { head: mark, tail: mark } },
    spec: {
      type: "NodePort",
      ...last?.spec,
      selector: { step: String(step) },
      ports: last?.spec?.ports ?? [{ port: 80 }],
    },
  };
}

async function checkAll(up: Up, stories: ReadonlyMap<string, Story>): Promise<void> {
  using api = await apiCaller(up.kubeconfig);
  const services = (await list(api, "/api/v1/services")) ?? [];
  const addresses = await list(api, "/apis/networking.k8s.io/v1/ipaddresses");
  assert.deepEqual(allocationProblems(services, addresses), []);
  const found = new Map(services.map((service) => [service.metadata.name, service]));
  for (const [name, story] of stories) checkStory(name, story, found.get(name));
  await checkFreed(api, stories, services);
}

async function list(api: ApiCaller, path: string): Promise<readonly Allocated[] | undefined> {
  const { status, text } = await api.call("GET", path);
  if (status === 404) return undefined;
  assert.equal(status, 200, text);
  // A list has items.
  return (JSON.parse(text) as { items: readonly Allocated[] }).items;
}

function checkStory(name: string, story: Story, service: Allocated | undefined): void {
  const { asked, acknowledged, last } = story;
  const what = `${name}: asked ${String(asked)}, acknowledged ${String(acknowledged)}`;
  if (service === undefined) {
    assert.ok(acknowledged === -1 || asked === DELETED, `${what}, is gone`);
    return;
  }
  assert.notEqual(acknowledged, DELETED, `${what}, is there`);
  // The checker reads what the writer wrote.
  const { annotations, uid } = service.metadata as {
    annotations?: Record<string, string>;
    uid?: string;
  };
  const { selector } = (service.spec ?? {}) as { selector?: Record<string, string> };
  const step = Number(selector?.["step"]);
  assert.ok(step === acknowledged || step === asked, `${what}, is at ${String(step)}`);
  assert.match(annotations?.["head"] ?? "", new RegExp(`^${String(step)}-x{500}$`), what);
  assert.equal(annotations?.["tail"], annotations?.["head"], `${what}, is half there`);
  if (last === undefined) return;
  assert.equal(uid, last.metadata.uid, what);
  assert.deepEqual(service.spec?.clusterIPs, last.spec?.clusterIPs, what);
  assert.deepEqual(service.spec?.ports, last.spec?.ports, what);
  // From here on it is what it is.
  story.asked = step;
  story.acknowledged = step;
}

/** How many of the freed allocations are asked for again; each costs a request. */
const MAX_PROBES = 50;

/** What deleted Services held can be had again; dry runs, so that nothing changes. */
async function checkFreed(
  api: ApiCaller,
  stories: ReadonlyMap<string, Story>,
  services: readonly Allocated[],
): Promise<void> {
  const heldIps = new Set(services.flatMap(({ spec }) => spec?.clusterIPs ?? []));
  const heldPorts = new Set(
    services.flatMap(({ spec }) => (spec?.ports ?? []).map(({ nodePort }) => nodePort)),
  );
  const freed = [...stories.values()].filter(({ acknowledged }) => acknowledged === DELETED);
  for (const { last } of freed.slice(-MAX_PROBES)) {
    const { clusterIP = "", ports = [] } = last?.spec ?? {};
    const nodePort = ports[0]?.nodePort;
    if (heldIps.has(clusterIP) || heldPorts.has(nodePort)) continue;
    const body = {
      metadata: { name: "probe" },
      spec: { type: "NodePort", clusterIP, ports: [{ port: 80, nodePort }] },
    };
    const { status, text } = await api.call("POST", `${SERVICES}?dryRun=All`, body);
    assert.equal(status, 201, `${clusterIP} and ${String(nodePort)} leaked: ${text}`);
  }
}
