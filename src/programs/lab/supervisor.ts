import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { abortable } from "../../async/deadline.ts";
import type { Logger } from "../../telemetry/log.ts";
import { buildNetwork } from "./network.ts";
import type { LabNode, LabPlan, Machine } from "./plan.ts";
import { removeRemains } from "./remains.ts";
import type { ControlConfig, NodeConfig, PartConfig, PartReady } from "./parts.ts";

export interface SupervisorConfig {
  readonly plan: LabPlan;
  /** The lab's folder. */
  readonly dir: string;
  readonly socket: string;
  readonly adminKubeconfig: string;
  readonly adminServer: string;
  readonly manifests: readonly string[];
  /** How this program is started again for its parts: `node`, its arguments and the script. */
  readonly program: readonly string[];
  /** Where the lab is noted for other commands. */
  readonly stateFile: string;
}

/** What the supervisor prints on stdout, a line of JSON each. */
export type SupervisorLine =
  /** Process ids as the lab's PID namespace has them, by name of machine. */
  | { readonly kind: "holders"; readonly holders: Readonly<Record<string, number>> }
  | {
      readonly kind: "ready";
      readonly applied: readonly string[];
      readonly problems: readonly string[];
    };

const STOP_MS = 10_000;
const MOUNT_MS = 10_000;
/** A node's program that ends is started again, as by a service manager; so often within such a time, it ends the lab. */
const MAX_RESTARTS = 5;
const RESTARTS_MS = 60_000;

export interface SupervisorDeps {
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly print: (line: SupervisorLine) => void;
}

/**
 * Builds a lab inside the namespaces that this process was started in as process 1 of its PID namespace, runs its
 * parts and resolves when the lab has ended: when `signal` aborts or the control plane dies. A node's program that
 * dies is started again and takes over its Pods. With this process all of it goes.
 * @throws Error naming the part that could not be started.
 */
export async function runLabSupervisor(
  config: SupervisorConfig,
  deps: SupervisorDeps,
): Promise<void> {
  const holders: ChildProcess[] = [];
  const parts = new Map<string, Part>();
  try {
    await run(config, deps, holders, parts);
  } catch (error) {
    // Whoever wanted the lab has gone before it was ready, and knows.
    if (!deps.signal.aborted) throw error;
  } finally {
    for (const { child } of parts.values()) child.kill("SIGKILL");
    for (const holder of holders) holder.kill("SIGKILL");
    await removeRemains(config.dir, config.stateFile);
  }
}

async function run(
  config: SupervisorConfig,
  deps: SupervisorDeps,
  holding: ChildProcess[],
  started: Map<string, Part>,
): Promise<void> {
  const { plan } = config;
  const { control, world, nodes } = plan;
  const network = buildNetwork(plan, holding);
  const sharing = shareMounts();
  const begin = async (machine: Machine, part: PartConfig): Promise<PartReady> => {
    const file = await writePart(config, machine.name, part);
    const holder = await network.holder(machine);
    // What begins now is ended by nobody any more.
    deps.signal.throwIfAborted();
    const begun = startPart(config, machine.name, holder, file);
    started.set(machine.name, begun);
    return begun.ready;
  };
  const beginControl = async (): Promise<PartReady> =>
    begin(control, controlConfig(config, await network.holder(world)));
  const beginNodes = async (): Promise<void> => {
    await Promise.all([network.joined, sharing]);
    const holders = [control, world, ...nodes].map(
      async (machine): Promise<[string, number]> => [machine.name, await network.holder(machine)],
    );
    deps.print({ kind: "holders", holders: Object.fromEntries(await Promise.all(holders)) });
    await Promise.all(nodes.map((node) => begin(node, nodeConfig(config, node))));
  };
  const starting = Promise.all([beginControl(), beginNodes()]);
  // Whoever wanted the lab may be gone before it is ready.
  const [{ applied = [], problems = [] }] = await abortable(deps.signal, starting);
  deps.print({ kind: "ready", applied, problems });
  await new Promise<void>((resolve) => {
    deps.signal.addEventListener("abort", () => {
      resolve();
    });
    if (deps.signal.aborted) resolve();
    // Never rejects.
    const follow = async (name: string): Promise<void> => {
      const node = nodes.find((each) => each.name === name);
      let ends: readonly number[] = [];
      for (let part = started.get(name); part !== undefined; part = started.get(name)) {
        const how = await part.exited;
        if (deps.signal.aborted) return;
        deps.log.error("a part of the lab has ended", { part: name, how });
        const nowMs = performance.now();
        ends = [...ends.filter((endedMs) => nowMs - endedMs < RESTARTS_MS), nowMs];
        if (node === undefined || ends.length > MAX_RESTARTS) break;
        // One that ends before it is ready is followed like any other.
        await begin(node, nodeConfig(config, node)).catch(() => undefined);
      }
      resolve();
    };
    for (const name of started.keys()) void follow(name);
  });
  // Nodes first: they stop their Pods and say so to the API.
  const parts = [...started.values()];
  const isControl = (part: Part): boolean => part.name === control.name;
  await Promise.all(parts.filter((part) => !isControl(part)).map(stop));
  await Promise.all(parts.filter(isControl).map(stop));
}

/** As a machine's init does: containers that ask for it see what is mounted on their node later. */
async function shareMounts(): Promise<void> {
  await promisify(execFile)("mount", ["-n", "--make-rshared", "/"], { timeout: MOUNT_MS });
}

interface Part {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ready: Promise<PartReady>;
  readonly exited: Promise<string>;
}

function controlConfig(config: SupervisorConfig, worldPid: number): ControlConfig {
  const { plan, dir } = config;
  const { clusterDomain, serviceCidrs, loadBalancerCidrs, clusterDns } = plan;
  return {
    kind: "control",
    addresses: plan.control.addresses,
    worldPid,
    socket: config.socket,
    serviceCidrs,
    loadBalancerCidrs,
    clusterDns,
    nodes: plan.nodes.map(({ name, addresses }) => ({ name, addresses })),
    nodesDir: join(dir, "credentials"),
    adminKubeconfig: config.adminKubeconfig,
    adminServer: config.adminServer,
    manifests: config.manifests,
    clusterDomain,
    dir: join(dir, plan.control.name),
  };
}

function nodeConfig({ plan, dir }: SupervisorConfig, node: LabNode): NodeConfig {
  const { name, zone, addresses, podCidr, secondPodCidr } = node;
  return {
    kind: "node",
    name,
    zone,
    addresses,
    podCidr,
    secondPodCidr,
    nodeRanges: plan.nodeRanges,
    podRanges: plan.podRanges,
    serviceCidrs: plan.serviceCidrs,
    clusterDns: plan.clusterDns,
    credentialsDir: join(dir, "credentials", name),
    clusterDomain: plan.clusterDomain,
    dir: join(dir, name),
  };
}

/** @returns the file that tells a part what to run. */
async function writePart(
  config: SupervisorConfig,
  name: string,
  part: PartConfig,
): Promise<string> {
  await mkdir(part.dir, { recursive: true, mode: 0o700 });
  const file = join(config.dir, `${name}.json`);
  await writeFile(file, JSON.stringify(part), { mode: 0o600 });
  return file;
}

function startPart(config: SupervisorConfig, name: string, holder: number, file: string): Part {
  const enter = [`--target=${String(holder)}`, "--net", "--uts", "--"];
  const child = spawn("nsenter", [...enter, ...config.program, "lab-part", "--part", file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit").then(([code, signal]: unknown[]) => String(signal ?? code));
  const ready = (async (): Promise<PartReady> => {
    // Written by our own program, which types it.
    for await (const line of createInterface({ input: child.stdout }))
      return JSON.parse(line) as PartReady;
    throw new Error(`${name} ended before it was ready (${await exited})`);
  })();
  return { name, child, ready, exited };
}

async function stop(part: Part): Promise<void> {
  if (part.child.exitCode !== null || part.child.signalCode !== null) return;
  part.child.kill("SIGTERM");
  const timer = setTimeout(() => part.child.kill("SIGKILL"), STOP_MS);
  await part.exited;
  clearTimeout(timer);
}
