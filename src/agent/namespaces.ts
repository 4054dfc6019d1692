import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Pod } from "../api/v1/pod.ts";
import type { PodSurroundings } from "../core/dns/pod-surroundings.ts";
import type { IpAddress } from "../net/address.ts";
import { ipFamilyOf, parseIpAddress } from "../net/address.ts";
import { runIp } from "../kernel/network-commands.ts";
import type { Logger } from "../telemetry/log.ts";
import { propagationOf } from "./container-mounts.ts";
import type { Mount } from "./container-mounts.ts";
import { mountMemory } from "./memory-mount.ts";
import { memoryCommand, mountCommand } from "./mount-script.ts";
import { codeOf, isAlive, readStat, signalGroup } from "./proc.ts";
import type { ProcessId } from "./proc.ts";
import { findProgram } from "./program.ts";
import { MountError } from "./sandbox.ts";
import type { ContainerPlace, Sandbox, Sandboxes } from "./sandbox.ts";

export interface NamespacesDeps {
  readonly log: Logger;
  /** Folder for the sandboxes' files and records, one folder a Pod. */
  readonly dir: string;
  /** Where a file system in memory is mounted for what must not come to a disk. */
  readonly memoryRoot: string;
  /** The node's ends of the Pods' links, one of each family that Pods have. */
  readonly gateways: readonly IpAddress[];
  readonly surroundings: (pod: Pod, podIps: readonly string[]) => PodSurroundings;
}

const COMMAND_MS = 10_000;
/** In a Pod's folder, and in that of each container with mounts: the process that holds its namespaces. */
const HOLDER = "holder.json";
const CONTAINERS = "containers";

/**
 * Runs in the new namespaces: sets up what is the Pod's own, says so, and holds the namespaces open. Arguments: its
 * hostname, or nothing when it has the node's network, its folder, and a folder for the node's mounts or nothing; `ip`
 * commands come by stdin.
 *
 * A Pod whose mounts are to follow the node's comes with the node's mounts as they are, so that all that is mounted in
 * it would be mounted on the node too. It gets a root of copies that nobody follows, and in it the node's tree once
 * more as it is. What is mounted there follows the node and is followed by it, but is not mounted on the node, because
 * the file system in memory around it is nobody else's. What is no longer followed may be unmounted: else that would
 * be done on the node too.
 */
const HOLD = `
set -e
if [ -n "$3" ]; then
  mkdir -p "$3/node" "$3/new" "$3/old"
  mount -n --rbind / "$3/new"
  mount -n --make-rprivate "$3/new"
  mount -n --rbind / "$3/new$3/node"
  cd "$3/new"
  pivot_root . ".$3/old"
  cd /
  mount -n --make-rprivate "$3/old"
  umount -l "$3/old"
fi
if [ -n "$1" ]; then
  hostname "$1" 2>/dev/null || true
  ip -batch -
fi
for file in resolv.conf hosts; do mount --bind "$2/$file" "/etc/$file"; done
echo ready
exec sleep infinity
`;
/** Has a new mount namespace follow the old one, and the other way round, as far as the old one's mounts do. */
const UNCHANGED = ["--mount", "--propagation", "unchanged"];

/**
 * A network, mount and UTS namespace for each Pod, joined to the agent's own network namespace by a pair of
 * virtual Ethernet devices: the node routes the Pod's addresses to it, and the Pod everything to the node. Pods
 * with hostNetwork have a mount namespace only. A container that mounts volumes has a mount namespace of its own,
 * made from its Pod's. Needs root in the user namespace that owns the agent's network.
 */
export class Namespaces implements Sandboxes {
  readonly #deps: NamespacesDeps;
  readonly canMount = true;
  readonly #open = new Map<string, Promise<Holder>>();
  #nsenter: string | undefined;
  #memory: Promise<void> | undefined;
  /** By Pod UID. */
  readonly #mounting = new Map<string, Promise<void>>();

  constructor(deps: NamespacesDeps) {
    this.#deps = deps;
  }

  readonly mountMemory = (): Promise<void> => {
    this.#memory ??= mountMemory(this.#deps.memoryRoot).catch((error: unknown) => {
      this.#memory = undefined;
      throw error;
    });
    return this.#memory;
  };

  prepare(pod: Pod, podIps: readonly string[]): void {
    // Whoever opens the sandbox gets the failure.
    this.#holder(pod, podIps).catch(() => undefined);
  }

  async open(
    pod: Pod,
    podIps: readonly string[],
    { name, mounts }: ContainerPlace,
  ): Promise<Sandbox> {
    const holder = await this.#holder(pod, podIps);
    const folder = this.#containerFolder(pod.metadata.uid ?? "", name);
    // A container that starts again sees its volumes as they are now.
    await endHolder(folder);
    if (mounts.length === 0) return this.#sandboxOf(holder.id, holder.isHostNetwork);
    const enter = ["nsenter", `--target=${String(holder.id.pid)}`, "--mount"];
    await this.#mountInPod(pod, enter, mounts);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const network = holder.isHostNetwork ? [] : ["--net", "--uts"];
    const isPrivate = mounts.every(({ propagation }) => propagation === "private");
    const tree = isPrivate ? "" : join(this.#tree(pod.metadata.uid ?? ""), "node");
    const space = isPrivate ? ["--mount"] : UNCHANGED;
    const words = [
      ...enter,
      ...network,
      "unshare",
      ...space,
      ...mountCommand(folder, tree, mounts),
    ];
    const id = await startHolder(words, "").catch((error: unknown) => {
      throw new MountError(error instanceof Error ? error.message : String(error));
    });
    await writeFile(join(folder, HOLDER), JSON.stringify(id));
    return this.#sandboxOf(id, holder.isHostNetwork);
  }

  async reopen(pod: Pod, podIps: readonly string[], container: string): Promise<Sandbox> {
    const holder = await this.#holder(pod, podIps);
    const own = await recordedHolder(this.#containerFolder(pod.metadata.uid ?? "", container));
    const id = own !== undefined && isAlive(own) ? own : holder.id;
    return this.#sandboxOf(id, holder.isHostNetwork);
  }

  async #sandboxOf(id: ProcessId, isHostNetwork: boolean): Promise<Sandbox> {
    // By its path, as a container's PATH may lead elsewhere.
    this.#nsenter ??= await programOf("nsenter");
    return sandboxOf(this.#nsenter, id, isHostNetwork);
  }

  /** Volumes in memory are mounted in the Pod's namespace, for all its containers. */
  async #mountInPod(pod: Pod, enter: readonly string[], mounts: readonly Mount[]): Promise<void> {
    const uid = pod.metadata.uid ?? "";
    // One container after another: each first looks whether a volume is there, and two of one would not be shared.
    const before = this.#mounting.get(uid);
    const mounting = (async () => {
      await before;
      for (const mount of mounts) {
        const command = memoryCommand(mount, followsMounts(pod));
        if (command !== undefined) await run([...enter, ...command]);
      }
    })();
    this.#mounting.set(
      uid,
      mounting.catch(() => undefined),
    );
    await mounting;
  }

  async #holder(pod: Pod, podIps: readonly string[]): Promise<Holder> {
    const uid = pod.metadata.uid ?? "";
    let opening = this.#open.get(uid);
    if (opening === undefined) {
      opening = this.#make(pod, podIps);
      this.#open.set(uid, opening);
      // What failed is tried anew by the next who asks.
      opening.catch(() => this.#open.delete(uid));
    }
    return opening;
  }

  async close(podUid: string): Promise<void> {
    const opening = this.#open.get(podUid);
    this.#open.delete(podUid);
    this.#mounting.delete(podUid);
    const holder = await opening?.catch(() => undefined);
    const id = holder?.id ?? (await recordedHolder(this.#folder(podUid)));
    const containers = join(this.#folder(podUid), CONTAINERS);
    for (const name of await readdir(containers).catch(() => [])) {
      await endHolder(join(containers, name));
    }
    // With the last process in it the namespace goes, and with it both ends of its link.
    if (id !== undefined && isAlive(id)) signalGroup(id.pid, "SIGKILL");
    await rm(this.#folder(podUid), { recursive: true, force: true });
    await removeTree(this.#tree(podUid)).catch((error: unknown) => {
      this.#deps.log.warn("what a Pod followed the node's mounts by is not removed", { error });
    });
  }

  async #make(pod: Pod, podIps: readonly string[]): Promise<Holder> {
    const uid = pod.metadata.uid ?? "";
    const isHostNetwork = pod.spec.hostNetwork === true;
    const known = await recordedHolder(this.#folder(uid));
    if (known !== undefined && isAlive(known)) return { id: known, isHostNetwork };
    const { hostname, resolvConf, hosts } = this.#deps.surroundings(pod, podIps);
    const folder = this.#folder(uid);
    // A mount that comes later is not seen in a namespace that is made now.
    await this.mountMemory();
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await writeFile(join(folder, "resolv.conf"), resolvConf);
    await writeFile(join(folder, "hosts"), hosts);
    const isFollowing = followsMounts(pod);
    const network = isHostNetwork ? [] : ["--net", "--uts"];
    const space = isFollowing ? UNCHANGED : ["--mount"];
    const link = isHostNetwork ? undefined : this.#linkOf(uid, podIps);
    const tree = isFollowing ? this.#tree(uid) : "";
    const words = ["sh", "-c", HOLD, "sh", isHostNetwork ? "" : hostname, folder, tree];
    const commands = `${(link?.inPod ?? []).join("\n")}\n`;
    const id = await startHolder(["unshare", ...network, ...space, ...words], commands);
    try {
      await writeFile(join(folder, HOLDER), JSON.stringify(id));
      if (link !== undefined) await runIp([], link.onNode);
    } catch (error) {
      signalGroup(id.pid, "SIGKILL");
      throw error;
    }
    this.#deps.log.debug("sandbox made", { pod: pod.metadata.name, pid: id.pid });
    return { id, isHostNetwork };
  }

  /** `ip` commands for the Pod's network namespace, and then for the node's. */
  #linkOf(
    uid: string,
    podIps: readonly string[],
  ): { readonly inPod: readonly string[]; readonly onNode: readonly string[] } {
    const device = deviceOf(uid);
    const pairs = podIps.flatMap((text) => {
      const ip = parseIpAddress(text);
      const gateway = this.#deps.gateways.find(
        (candidate) => ip !== undefined && ipFamilyOf(candidate) === ipFamilyOf(ip),
      );
      return ip === undefined || gateway === undefined ? [] : [{ ip, gateway }];
    });
    return {
      inPod: [
        `link add eth0 type veth peer name ${device} netns ${String(process.pid)}`,
        "link set lo up",
        ...pairs.map((pair) => `addr add ${whole(pair.ip)} dev eth0${nodad(pair.ip)}`),
        "link set eth0 up",
        ...pairs.flatMap(({ gateway }) => [
          `route add ${whole(gateway)} dev eth0`,
          `route add default via ${gateway} dev eth0`,
        ]),
      ],
      // Each link has the node's address for itself, so that there is a route to a Pod only where the Pod is.
      onNode: [
        ...pairs.map(({ gateway }) => `addr add ${whole(gateway)} dev ${device}${nodad(gateway)}`),
        `link set ${device} up`,
        ...pairs.map((pair) => `route add ${whole(pair.ip)} dev ${device}`),
      ],
    };
  }

  #folder(uid: string): string {
    return join(this.#deps.dir, uid);
  }

  /** Where a Pod that follows the node's mounts has what it needs for that. */
  #tree(uid: string): string {
    return join(this.#deps.memoryRoot, "trees", uid);
  }

  #containerFolder(uid: string, container: string): string {
    return join(this.#folder(uid), CONTAINERS, container);
  }
}

function sandboxOf(nsenter: string, { pid }: ProcessId, isHostNetwork: boolean): Sandbox {
  const own = isHostNetwork ? [] : ["--net", "--uts"];
  return {
    enter: (workingDir) => ({
      words: [nsenter, `--target=${String(pid)}`, "--mount", ...own, `--wdns=${workingDir}`, "--"],
      cwd: "/",
      root: `/proc/${String(pid)}/root`,
    }),
  };
}

/** @throws Error when it is not installed. */
async function programOf(name: string): Promise<string> {
  const path = process.env["PATH"] ?? "";
  const found = await findProgram(name, { path, workingDir: "/", root: "" });
  if (found.kind === "found") return found.path;
  throw new Error(`${found.message}: it is in the package util-linux`);
}

/** The holder of a folder that this or an earlier agent started. */
async function recordedHolder(folder: string): Promise<ProcessId | undefined> {
  try {
    const record: unknown = JSON.parse(await readFile(join(folder, HOLDER), "utf8"));
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

async function endHolder(folder: string): Promise<void> {
  const id = await recordedHolder(folder);
  if (id !== undefined && isAlive(id)) signalGroup(id.pid, "SIGKILL");
}

/** @throws Error with what the command printed. */
async function run([program = "", ...args]: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args, { timeout: COMMAND_MS });
  } catch (error) {
    // As promisify(execFile) rejects.
    const { stderr = "" } = error as { readonly stderr?: string };
    throw new MountError(`volume in memory not made: ${stderr.trim()}`, { cause: error });
  }
}

interface Holder {
  readonly id: ProcessId;
  readonly isHostNetwork: boolean;
}

/** Folders of a tree in {@link HOLD}. All the node's files hang there in the Pod's view, so nothing is removed but the folders. */
async function removeTree(tree: string): Promise<void> {
  for (const folder of [join(tree, "node"), join(tree, "new"), join(tree, "old"), tree]) {
    await rmdir(folder).catch((error: unknown) => {
      if (codeOf(error) !== "ENOENT") throw error;
    });
  }
}

/** Whether containers of the Pod see what is mounted on the node later, or the node what they mount. */
function followsMounts({ spec }: Pod): boolean {
  return [...(spec.initContainers ?? []), ...spec.containers].some(({ volumeMounts = [] }) =>
    volumeMounts.some((mount) => propagationOf(mount) !== "private"),
  );
}

/**
 * Resolves when the holder has set up its namespaces.
 * @param input what it reads from stdin.
 * @throws Error with what it printed.
 */
function startHolder(
  [program = "", ...args]: readonly string[],
  input: string,
): Promise<ProcessId> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
    // One that ends early; what it printed tells why.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    let errors = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`sandbox not made within ${String(COMMAND_MS / 1000)} s`));
    }, COMMAND_MS);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`${program} (util-linux) cannot be run`, { cause: error }));
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
