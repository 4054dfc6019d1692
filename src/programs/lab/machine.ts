import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { inNetworkOf, runIp } from "../../kernel/network-commands.ts";
import { abortable } from "../../async/deadline.ts";
import type { Logger } from "../../telemetry/log.ts";
import { machineLink, machineRoutes, nodeAddresses, worldRules } from "./plan.ts";
import type { LabNode, LabPlan, Machine } from "./plan.ts";
import { removeRemains } from "./remains.ts";
import type { ControlConfig, NodeConfig, PartConfig, PartReady } from "./parts.ts";

export interface LabMachineConfig {
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

/** What the machine prints on stdout, a line of JSON each. */
export type MachineLine =
  /** Process ids as the machine's PID namespace has them, by name of namespace. */
  | { readonly kind: "holders"; readonly holders: Readonly<Record<string, number>> }
  | {
      readonly kind: "ready";
      readonly applied: readonly string[];
      readonly problems: readonly string[];
    };

const BRIDGE = "lab0";
const STOP_MS = 10_000;
/** A node's program that ends is started again, as by a service manager; so often within such a time, it ends the lab. */
const MAX_RESTARTS = 5;
const RESTARTS_MS = 60_000;

/** Sets up what a namespace has for itself, says so and holds it open. */
const HOLD = `
set -e
hostname "$1"
for name in $2; do echo 1 > "/proc/sys/net/$name"; done
for name in $3; do echo 0 > "/proc/sys/net/$name"; done
echo ready
exec sleep infinity
`;
const FORWARDS = [
  "ipv4/ip_forward",
  "ipv6/conf/all/forwarding",
  "ipv4/fib_multipath_hash_policy",
  "ipv6/fib_multipath_hash_policy",
];
/** Packets take other ways back than forth; a strict filter would drop them. */
const FILTERS = ["ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"];

export interface MachineDeps {
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly print: (line: MachineLine) => void;
}

/**
 * Builds a lab inside the namespaces that this process was started in as process 1 of its PID namespace, runs its
 * parts and resolves when the lab has ended: when `signal` aborts or the control plane dies. A node's program that
 * dies is started again and takes over its Pods. With this process all of it goes.
 * @throws Error naming the part that could not be started.
 */
export async function runLabMachine(config: LabMachineConfig, deps: MachineDeps): Promise<void> {
  const { plan } = config;
  const machines = [plan.control, plan.world, ...plan.nodes];
  const held: ChildProcess[] = [];
  try {
    await run(config, deps, machines, held);
  } finally {
    for (const holder of held) holder.kill("SIGKILL");
    await removeRemains(config.dir, config.stateFile);
  }
}

async function run(
  config: LabMachineConfig,
  deps: MachineDeps,
  machines: readonly Machine[],
  held: ChildProcess[],
): Promise<void> {
  const { plan } = config;
  await runIp([], [`link add ${BRIDGE} type bridge`, `link set ${BRIDGE} up`, "link set lo up"]);
  const holders = new Map(
    await Promise.all(
      machines.map(async (each): Promise<[string, number]> => [each.name, await hold(each, held)]),
    ),
  );
  await Promise.all(machines.map((each) => linkUp(plan, each, holders.get(each.name) ?? 0)));
  deps.print({ kind: "holders", holders: Object.fromEntries(holders) });

  const started = new Map<string, Part>();
  const begin = async (name: string, part: PartConfig): Promise<PartReady> => {
    const child = await startPart(config, name, holders.get(name) ?? 0, part);
    held.push(child.child);
    started.set(name, child);
    return child.ready;
  };
  const starting = Promise.all([
    begin(plan.control.name, controlConfig(config, holders.get(plan.world.name) ?? 0)),
    ...plan.nodes.map((node) => begin(node.name, nodeConfig(config, node))),
  ]);
  // Whoever wanted the lab may be gone before it is ready.
  const [control] = await abortable(deps.signal, starting);
  deps.print({
    kind: "ready",
    applied: control?.applied ?? [],
    problems: control?.problems ?? [],
  });
  await new Promise<void>((resolve) => {
    deps.signal.addEventListener("abort", () => {
      resolve();
    });
    if (deps.signal.aborted) resolve();
    // Never rejects.
    const follow = async (name: string): Promise<void> => {
      const node = plan.nodes.find((each) => each.name === name);
      let ends: readonly number[] = [];
      for (let part = started.get(name); part !== undefined; part = started.get(name)) {
        const how = await part.exited;
        if (deps.signal.aborted) return;
        deps.log.error("a part of the lab has ended", { part: name, how });
        const nowMs = performance.now();
        ends = [...ends.filter((endedMs) => nowMs - endedMs < RESTARTS_MS), nowMs];
        if (node === undefined || ends.length > MAX_RESTARTS) break;
        // One that ends before it is ready is followed like any other.
        await begin(name, nodeConfig(config, node)).catch(() => undefined);
      }
      resolve();
    };
    for (const name of started.keys()) void follow(name);
  });
  // Nodes first: they stop their Pods and say so to the API.
  const parts = [...started.values()];
  const isControl = (part: Part): boolean => part.name === plan.control.name;
  await Promise.all(parts.filter((part) => !isControl(part)).map(stop));
  await Promise.all(parts.filter(isControl).map(stop));
}

interface Part {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ready: Promise<PartReady>;
  readonly exited: Promise<string>;
}

function controlConfig(config: LabMachineConfig, worldPid: number): ControlConfig {
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

function nodeConfig({ plan, dir }: LabMachineConfig, node: LabNode): NodeConfig {
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

/** A process that keeps a network and a UTS namespace open; resolves to its id. */
async function hold({ name }: Machine, held: ChildProcess[]): Promise<number> {
  const args = [
    "--net",
    "--uts",
    "sh",
    "-c",
    HOLD,
    "sh",
    name,
    FORWARDS.join(" "),
    FILTERS.join(" "),
  ];
  const child = spawn("unshare", args, { stdio: ["ignore", "pipe", "pipe"] });
  held.push(child);
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ready = once(child.stdout, "data").then(() => true);
  const ended = once(child, "exit").then(() => false);
  if (!(await Promise.race([ready, ended])) || child.pid === undefined)
    throw new Error(`namespace ${name} cannot be made: ${errors.trim()}`);
  return child.pid;
}

/** Links a namespace to the bridge and tells it the ways. */
async function linkUp(plan: LabPlan, machine: Machine, pid: number): Promise<void> {
  const device = `to-${machine.name}`.slice(0, 15);
  await runIp(
    [],
    [
      `link add ${device} type veth peer name eth0 netns ${String(pid)}`,
      `link set ${device} master ${BRIDGE} up`,
    ],
  );
  const isNode = plan.nodes.some(({ name }) => name === machine.name);
  await runIp(inNetworkOf(pid), [
    ...machineLink(machine),
    ...machineRoutes(plan, machine),
    ...(isNode ? nodeAddresses(plan) : []),
  ]);
  if (machine.name !== plan.world.name) return;
  for (const family of ["-4", "-6"] as const)
    await runIp(inNetworkOf(pid), worldRules(plan), family);
}

async function startPart(
  config: LabMachineConfig,
  name: string,
  holder: number,
  part: PartConfig,
): Promise<Part> {
  await mkdir(part.dir, { recursive: true, mode: 0o700 });
  const file = join(config.dir, `${name}.json`);
  await writeFile(file, JSON.stringify(part), { mode: 0o600 });
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
