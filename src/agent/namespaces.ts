import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "../api/v1/pod.ts";
import type { PodSurroundings } from "../core/dns/pod-surroundings.ts";
import type { IpAddress } from "../net/address.ts";
import { ipFamilyOf, parseIpAddress } from "../net/address.ts";
import { inNetworkOf, runIp } from "../kernel/ip-command.ts";
import type { Logger } from "../telemetry/log.ts";
import { isAlive, readStat, signalGroup } from "./proc.ts";
import type { ProcessId } from "./proc.ts";
import type { Sandbox, Sandboxes } from "./sandbox.ts";

export interface NamespacesDeps {
  readonly log: Logger;
  /** Folder for the sandboxes' files and records, one folder a Pod. */
  readonly dir: string;
  /** The node's ends of the Pods' links, one of each family that Pods have. */
  readonly gateways: readonly IpAddress[];
  readonly surroundings: (pod: Pod, podIps: readonly string[]) => PodSurroundings;
}

const COMMAND_MS = 10_000;

/** Runs in the new namespaces: sets up what is the Pod's own, says so, and holds the namespaces open. */
const HOLD = `
set -e
hostname "$1" 2>/dev/null || true
for file in resolv.conf hosts; do mount --bind "$2/$file" "/etc/$file"; done
echo ready
exec sleep infinity
`;

/**
 * A network, mount and UTS namespace for each Pod, joined to the agent's own network namespace by a pair of
 * virtual Ethernet devices: the node routes the Pod's addresses to it, and the Pod everything to the node. Pods
 * with hostNetwork have a mount namespace only. Needs root in the user namespace that owns the agent's network.
 */
export class Namespaces implements Sandboxes {
  readonly #deps: NamespacesDeps;
  readonly #open = new Map<string, Promise<Holder>>();

  constructor(deps: NamespacesDeps) {
    this.#deps = deps;
  }

  async open(pod: Pod, podIps: readonly string[]): Promise<Sandbox> {
    const uid = pod.metadata.uid ?? "";
    let opening = this.#open.get(uid);
    if (opening === undefined) {
      opening = this.#make(pod, podIps);
      this.#open.set(uid, opening);
      // What failed is tried anew by the next who asks.
      opening.catch(() => this.#open.delete(uid));
    }
    const { id, isHostNetwork } = await opening;
    const own = isHostNetwork ? [] : ["--net", "--uts"];
    return {
      enter: (workingDir) => [
        "nsenter",
        `--target=${String(id.pid)}`,
        "--mount",
        ...own,
        `--wdns=${workingDir}`,
        "--",
      ],
    };
  }

  async close(podUid: string): Promise<void> {
    const opening = this.#open.get(podUid);
    this.#open.delete(podUid);
    const holder = await opening?.catch(() => undefined);
    const id = holder?.id ?? (await this.#recorded(podUid));
    // With the last process in it the namespace goes, and with it both ends of its link.
    if (id !== undefined && isAlive(id)) signalGroup(id.pid, "SIGKILL");
    await rm(this.#folder(podUid), { recursive: true, force: true });
  }

  async #make(pod: Pod, podIps: readonly string[]): Promise<Holder> {
    const uid = pod.metadata.uid ?? "";
    const isHostNetwork = pod.spec.hostNetwork === true;
    const known = await this.#recorded(uid);
    if (known !== undefined && isAlive(known)) return { id: known, isHostNetwork };
    const { hostname, resolvConf, hosts } = this.#deps.surroundings(pod, podIps);
    const folder = this.#folder(uid);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await writeFile(join(folder, "resolv.conf"), resolvConf);
    await writeFile(join(folder, "hosts"), hosts);
    const namespaces = isHostNetwork ? ["--mount"] : ["--net", "--mount", "--uts"];
    const words = ["sh", "-c", HOLD, "sh", isHostNetwork ? "" : hostname, folder];
    const id = await startHolder([...namespaces, ...words]);
    try {
      await writeFile(join(folder, "holder.json"), JSON.stringify(id));
      if (!isHostNetwork) await this.#link(uid, id.pid, podIps);
    } catch (error) {
      signalGroup(id.pid, "SIGKILL");
      throw error;
    }
    this.#deps.log.debug("sandbox made", { pod: pod.metadata.name, pid: id.pid });
    return { id, isHostNetwork };
  }

  async #link(uid: string, pid: number, podIps: readonly string[]): Promise<void> {
    const device = deviceOf(uid);
    const pairs = podIps.flatMap((text) => {
      const ip = parseIpAddress(text);
      const gateway = this.#deps.gateways.find(
        (candidate) => ip !== undefined && ipFamilyOf(candidate) === ipFamilyOf(ip),
      );
      return ip === undefined || gateway === undefined ? [] : [{ ip, gateway }];
    });
    // Each link has the node's address for itself, so that there is a route to a Pod only where the Pod is.
    await runIp(
      [],
      [
        `link add ${device} type veth peer name eth0 netns ${String(pid)}`,
        ...pairs.map(({ gateway }) => `addr add ${whole(gateway)} dev ${device}${nodad(gateway)}`),
        `link set ${device} up`,
      ],
    );
    await runIp(inNetworkOf(pid), [
      "link set lo up",
      ...pairs.map((pair) => `addr add ${whole(pair.ip)} dev eth0${nodad(pair.ip)}`),
      "link set eth0 up",
      ...pairs.flatMap(({ gateway }) => [
        `route add ${whole(gateway)} dev eth0`,
        `route add default via ${gateway} dev eth0`,
      ]),
    ]);
    await runIp(
      [],
      pairs.map((pair) => `route add ${whole(pair.ip)} dev ${device}`),
    );
  }

  #folder(uid: string): string {
    return join(this.#deps.dir, uid);
  }

  /** The holder that this or an earlier agent started. */
  async #recorded(uid: string): Promise<ProcessId | undefined> {
    try {
      const record: unknown = JSON.parse(
        await readFile(join(this.#folder(uid), "holder.json"), "utf8"),
      );
      if (typeof record !== "object" || record === null) return undefined;
      const { pid, startTicks } = record as Partial<ProcessId>;
      return typeof pid === "number" && typeof startTicks === "number"
        ? { pid, startTicks }
        : undefined;
    } catch {
      // None was made, or it was being made when its agent was killed: then nothing points to it, and the
      // kernel ends it with the agent's PID namespace.
      return undefined;
    }
  }
}

interface Holder {
  readonly id: ProcessId;
  readonly isHostNetwork: boolean;
}

/** Resolves when the holder has set up its namespaces. @throws Error with what it printed. */
function startHolder(args: readonly string[]): Promise<ProcessId> {
  return new Promise((resolve, reject) => {
    const child = spawn("unshare", args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`sandbox not made within ${String(COMMAND_MS / 1000)} s`));
    }, COMMAND_MS);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(new Error("unshare (util-linux) cannot be run", { cause: error }));
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (errors.length < 1_000) errors += chunk.toString();
    });
    child.once("exit", () => {
      clearTimeout(timer);
      reject(new Error(`sandbox not made: ${errors.trim()}`));
    });
    child.stdout.once("data", () => {
      clearTimeout(timer);
      const { pid } = child;
      const startTicks = pid === undefined ? undefined : readStat(pid)?.startTicks;
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      if (pid === undefined || startTicks === undefined) reject(new Error("sandbox ended at once"));
      else resolve({ pid, startTicks });
    });
  });
}

/** A device name has 15 characters; this one is as unlike another Pod's as 11 of them can be. */
function deviceOf(uid: string): string {
  return `pod-${createHash("sha256").update(uid).digest("hex").slice(0, 11)}`;
}

function whole(address: IpAddress): string {
  return `${address}/${ipFamilyOf(address) === "IPv4" ? "32" : "128"}`;
}

function nodad(address: IpAddress): string {
  return ipFamilyOf(address) === "IPv6" ? " nodad" : "";
}
