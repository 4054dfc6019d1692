import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { runIp } from "../../kernel/network-commands.ts";
import { bridgePort, machineCommands, worldRules } from "./plan.ts";
import type { LabPlan, Machine } from "./plan.ts";

const BRIDGE = "lab0";

/**
 * Sets up what a machine's namespaces have for themselves, says so and holds them open. Arguments: its name, what to
 * turn on and what to turn off below /proc/sys/net, and `ip` commands that are the same for each family; others come
 * by stdin.
 */
const HOLD = `
set -e
hostname "$1"
for name in $2; do echo 1 > "/proc/sys/net/$name"; done
for name in $3; do echo 0 > "/proc/sys/net/$name"; done
ip -batch -
if [ -n "$4" ]; then
  for family in -4 -6; do echo "$4" | ip $family -batch -; done
fi
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

/** The network namespaces of a lab that are being made. */
export interface LabNetwork {
  /** A process that keeps the machine's network and UTS namespace open; resolves to its id when they are made. */
  holder(machine: Machine): Promise<number>;
  /** Resolves when all machines reach each other. */
  readonly joined: Promise<void>;
}

/**
 * Makes the lab's network in namespaces of which this process has the rights: a bridge in its own, and a namespace for
 * each machine with a link to it.
 * @param held takes the processes that hold namespaces open; with them these go.
 */
export function buildNetwork(plan: LabPlan, held: ChildProcess[]): LabNetwork {
  const machines = [plan.control, plan.world, ...plan.nodes];
  // First of all devices, so that no link has the same number at both of its ends: for such a link the kernel may take
  // a second to notice that it is up, and drops packets till then.
  const bridge = runIp(
    [],
    [`link add ${BRIDGE} type bridge`, `link set ${BRIDGE} up`, "link set lo up"],
  );
  const holders = new Map(
    machines.map((machine) => [machine.name, hold(plan, machine, bridge, held)]),
  );
  const join = async (): Promise<void> => {
    await Promise.all([bridge, ...holders.values()]);
    await runIp(
      [],
      machines.map((machine) => `link set ${bridgePort(machine)} master ${BRIDGE} up`),
    );
  };
  // Whoever waits for one of these gets its failure; so does whoever waits for all.
  for (const holder of holders.values()) holder.catch(() => undefined);
  return {
    joined: join(),
    holder: ({ name }) =>
      holders.get(name) ?? Promise.reject(new Error(`the lab has no machine ${name}`)),
  };
}

async function hold(
  plan: LabPlan,
  machine: Machine,
  bridge: Promise<void>,
  held: ChildProcess[],
): Promise<number> {
  const { name } = machine;
  const rules = name === plan.world.name ? worldRules(plan) : [];
  const args = [name, FORWARDS.join(" "), FILTERS.join(" "), rules.join("\n")];
  const child = spawn("unshare", ["--net", "--uts", "sh", "-c", HOLD, "sh", ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  held.push(child);
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  // One that ends early; what it printed tells why.
  child.stdin.on("error", () => undefined);
  const commands = machineCommands(plan, machine, process.pid);
  const ready = once(child.stdout, "data").then(() => true);
  const ended = once(child, "close").then(() => false);
  const giveCommands = async (): Promise<void> => {
    await bridge;
    child.stdin.end(`${commands.join("\n")}\n`);
  };
  const [isReady] = await Promise.all([Promise.race([ready, ended]), giveCommands()]);
  if (!isReady || child.pid === undefined)
    throw new Error(`namespace ${name} cannot be made: ${errors.trim()}`);
  return child.pid;
}
