import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createSocket } from "node:dgram";
import type { RemoteInfo } from "node:dgram";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { loadLibc } from "../../src/kernel/libc.ts";

const CLONE_NEWNET = 0x40000000;
/** Longer than any answer takes here, shorter than the kernel waits before it sends a SYN again. */
const SILENCE_MS = 900;

/** Addresses of the node and, outside of the cluster, of the world. */
export const NODE4 = "192.0.2.1";
export const NODE6 = "2001:db8:1::1";
export const WORLD4 = "192.0.2.2";
export const WORLD6 = "2001:db8:1::2";
/** An address that the world has besides. */
export const OTHER_WORLD4 = "198.51.100.77";

/** Any address of these is the world's, too: many clients. */
const CROWD4 = "198.51.101.0/24";
const CROWD6 = "2001:db8:77::/64";
export const crowd4 = (n: number): string => `198.51.101.${String(n)}`;
export const crowd6 = (n: number): string => `2001:db8:77::${(n + 1).toString(16)}`;

/** What came of a connection or datagram. */
export type Outcome =
  | { readonly kind: "answered"; readonly by: string; readonly sawSource: string }
  | { readonly kind: "refused" }
  /** Connected, then cut off. */
  | { readonly kind: "reset" }
  /** The node's own packets that are dropped or rejected do not even leave the socket. */
  | { readonly kind: "forbidden" }
  | { readonly kind: "silence" };

/** An open connection to an endpoint that echoes. */
export interface Held {
  /** The address of the endpoint. */
  readonly by: string;
  echo(text: string): Promise<string>;
  end(): void;
}

export interface Client {
  /** Namespace: "node", "world", or a Pod's. */
  readonly from: string;
  readonly source?: string;
  readonly sourcePort?: number;
}

/**
 * A node with Pods, each in a network namespace, and a world outside: all within the namespace that this process
 * runs in. Sockets are made in the namespace that the thread is in at that moment, so one process plays them all.
 */
export class Network implements AsyncDisposable {
  readonly #namespaces = new Map<string, number>();
  readonly #addresses = new Map<string, readonly [string, string]>();
  readonly #enter: (fd: number, kind: number) => number;
  readonly #closers: (() => void)[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(enter: (fd: number, kind: number) => number) {
    this.#enter = enter;
    this.#namespaces.set("node", openSync("/proc/self/ns/net", "r"));
  }

  /** The node itself and the world. */
  static async open(): Promise<Network> {
    const load = await loadLibc();
    if (load.kind === "missing") throw new Error(load.reason);
    // Koffi gives what the declaration says.
    const enter = load.libc.func("int setns(int fd, int kind)") as (
      fd: number,
      k: number,
    ) => number;
    const network = new Network(enter);
    for (const [path, value] of [
      ["ipv4/ip_forward", "1"],
      ["ipv6/conf/all/forwarding", "1"],
      ["ipv6/conf/default/accept_dad", "0"],
      // Rejections by ICMP are rationed otherwise, and look like silence.
      ["ipv4/icmp_ratelimit", "0"],
      ["ipv6/icmp/ratelimit", "0"],
    ] as const) {
      writeFileSync(`/proc/sys/net/${path}`, value);
    }
    ip(["link set lo up"]);
    network.#namespace("world", [
      `addr add ${WORLD4}/24 dev eth0`,
      `addr add ${OTHER_WORLD4}/32 dev eth0`,
      `addr add ${WORLD6}/64 dev eth0 nodad`,
      "link set eth0 up",
      // The link-local address that the kernel makes is usable only after a second.
      "addr add fe80::2:2/64 dev eth0 nodad",
      "link set lo up",
      `route add local ${CROWD4} dev lo`,
      `route add local ${CROWD6} dev lo`,
      `route add default via ${NODE4}`,
      `route add default via ${NODE6}`,
    ]);
    network.#switch("world");
    // For the crowd's IPv6 addresses, which no device has.
    writeFileSync("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
    network.#switch("node");
    ip([
      `addr add ${NODE4}/24 dev v-world`,
      `addr add ${NODE6}/64 dev v-world nodad`,
      "link set v-world up",
      `route add ${OTHER_WORLD4}/32 dev v-world`,
      `route add ${CROWD4} dev v-world`,
      `route add ${CROWD6} via ${WORLD6}`,
      // So that the node's own processes find a way to addresses that only rules know.
      `route add default via ${WORLD4}`,
      `route add default via ${WORLD6}`,
    ]);
    return network;
  }

  /** Adds Pods that answer at these ports. */
  async addServers(
    pods: readonly { readonly name: string; readonly v4: string; readonly v6: string }[],
    ...ports: readonly number[]
  ): Promise<void> {
    for (const pod of pods) {
      this.addPod(pod.name, pod.v4, pod.v6);
      for (const port of ports) await this.serve(pod.name, port);
    }
  }

  /** A Pod with these addresses, beside the others of the node. */
  addPod(name: string, address4: string, address6: string): void {
    this.#addresses.set(name, [address4, address6]);
    const gateway = "02:00:00:00:00:01";
    this.#namespace(name, [
      `addr add ${address4}/32 dev eth0`,
      `addr add ${address6}/128 dev eth0 nodad`,
      "link set eth0 up",
      "link set lo up",
      "route add 169.254.1.1 dev eth0 scope link",
      `neigh add 169.254.1.1 lladdr ${gateway} dev eth0`,
      `route add default via 169.254.1.1 src ${address4}`,
      `neigh add fe80::1 lladdr ${gateway} dev eth0`,
      `route add default via fe80::1 dev eth0 src ${address6}`,
    ]);
    const device = `v-${name}`;
    ip([
      `link set ${device} address ${gateway}`,
      `link set ${device} up`,
      `route add ${address4}/32 dev ${device}`,
      `route add ${address6}/128 dev ${device}`,
    ]);
  }

  /** Makes all of these ranges addresses of the node, so that its processes may listen on any. */
  own(...ranges: readonly string[]): void {
    ip(ranges.map((range) => `route add local ${range} dev lo`));
    // For IPv6 a local route alone does not let them bind.
    writeFileSync("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
  }

  /**
   * Answers TCP connections and datagrams there with the address that took them and the one they came from: on all
   * addresses, or on one of IPv4.
   */
  async serve(where: string, port: number, only?: string): Promise<void> {
    // A socket for datagrams does not tell to which address they came.
    const addresses = only === undefined ? (this.#addresses.get(where) ?? ["", ""]) : [only];
    const tcp = createServer((socket) => {
      socket.on("error", () => undefined);
      const text = `${plain(socket.localAddress)} ${plain(socket.remoteAddress)}`;
      // Says at once who it is, then echoes.
      socket.write(text);
      socket.on("data", (chunk) => socket.write(chunk));
      socket.on("end", () => socket.end());
    });
    await this.#in(where, () => {
      tcp.listen({ port, exclusive: true, ...(only === undefined ? {} : { host: only }) });
    });
    this.#closers.push(() => tcp.close());
    for (const [i, name] of addresses.entries()) {
      const type = i === 0 ? "udp4" : "udp6";
      const udp = createSocket({ type, ipv6Only: type === "udp6", lookup: atOnce });
      udp.on("message", (data, from: RemoteInfo) => {
        udp.send(
          `${data.length === 0 ? "" : name} ${plain(from.address)}`,
          from.port,
          from.address,
        );
      });
      await this.#in(where, () => {
        const any = type === "udp4" ? "0.0.0.0" : "::";
        udp.bind({ port, address: only ?? any, exclusive: true });
      });
      this.#closers.push(() => udp.close());
    }
  }

  /** Connects once, and says what came of it. */
  async tcp(client: Client, address: string, port: number): Promise<Outcome> {
    const socket = await this.#in(client.from, () =>
      connect({
        host: address,
        port,
        family: address.includes(":") ? 6 : 4,
        autoSelectFamily: false,
        ...(client.source === undefined ? {} : { localAddress: client.source }),
        ...(client.sourcePort === undefined ? {} : { localPort: client.sourcePort }),
      }),
    );
    return new Promise((resolve) => {
      const end = (outcome: Outcome): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        end({ kind: "silence" });
      }, SILENCE_MS);
      socket.on("data", (chunk) => {
        end(answered(String(chunk)));
      });
      socket.on("end", () => {
        end({ kind: "refused" });
      });
      socket.on("error", (error: NodeJS.ErrnoException) => {
        const isRefused = error.code === "ECONNREFUSED" || error.code === "EHOSTUNREACH";
        if (error.code === "ECONNRESET") end({ kind: "reset" });
        else end(isRefused ? { kind: "refused" } : { kind: "silence" });
      });
    });
  }

  /** A connection that stays open, to one of those that {@link serve} here echo. */
  async hold(client: Client, address: string, port: number): Promise<Held> {
    const { from, source, sourcePort } = client;
    const local = {
      ...(source === undefined ? {} : { localAddress: source }),
      ...(sourcePort === undefined ? {} : { localPort: sourcePort }),
    };
    const socket = await this.#in(from, () => connect({ host: address, port, ...local }));
    socket.on("error", () => undefined);
    await once(socket, "connect");
    // once() gives what the event carries, untyped.
    const [name] = (await once(socket, "data")) as [Uint8Array];
    const [by = ""] = String(name).split(" ");
    return {
      by,
      echo: async (text) => {
        socket.write(text);
        // once() gives what the event carries, untyped.
        const [chunk] = (await once(socket, "data")) as [Uint8Array];
        return String(chunk);
      },
      end: () => socket.destroy(),
    };
  }

  /** Sends one datagram, and says what came of it. */
  async udp(client: Client, address: string, port: number): Promise<Outcome> {
    const isIpv6 = address.includes(":");
    const socket = createSocket({ type: isIpv6 ? "udp6" : "udp4", lookup: atOnce });
    await this.#in(client.from, () => {
      socket.bind({
        port: client.sourcePort ?? 0,
        address: client.source ?? (isIpv6 ? "::" : "0.0.0.0"),
        exclusive: true,
      });
    });
    return new Promise((resolve) => {
      const end = (outcome: Outcome): void => {
        clearTimeout(timer);
        socket.close();
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        end({ kind: "silence" });
      }, SILENCE_MS);
      socket.once("message", (data) => {
        end(answered(String(data)));
      });
      socket.on("error", (error: NodeJS.ErrnoException) => {
        end({ kind: error.code === "EPERM" ? "forbidden" : "refused" });
      });
      socket.connect(port, address, () => {
        socket.send("?");
      });
    });
  }

  /** Does something that opens sockets for the node, while no client is being started elsewhere. */
  onNode<T>(act: () => Promise<T>): Promise<T> {
    return this.#in("node", act);
  }

  /** Does something at once in a namespace. */
  within<T>(where: string, act: () => T | Promise<T>): Promise<T> {
    return this.#in(where, act);
  }

  /** A number that the kernel counts for a namespace, such as `Tcp` and `OutRsts` (/proc/net/snmp). */
  async counter(where: string, protocol: string, name: string): Promise<number> {
    const text = await this.#in(where, () => readFileSync("/proc/thread-self/net/snmp", "utf8"));
    const lines = text.split("\n").filter((line) => line.startsWith(`${protocol}: `));
    const [names = [], values = []] = lines.map((line) => line.split(" "));
    return Number(values[names.indexOf(name)]);
  }

  async #in<T>(where: string, act: () => T | Promise<T>): Promise<T> {
    const work = this.#turn.then(async () => {
      this.#switch(where);
      try {
        const result = await act();
        // Node connects one tick later.
        await new Promise<void>((resolve) => {
          process.nextTick(resolve);
        });
        return result;
      } finally {
        this.#switch("node");
      }
    });
    this.#turn = work.catch(() => undefined);
    return work;
  }

  #switch(where: string): void {
    const fd = this.#namespaces.get(where);
    if (fd === undefined) throw new Error(`no namespace ${where}`);
    if (this.#enter(fd, CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${where}`);
  }

  #namespace(name: string, commands: readonly string[]): void {
    execFileSync("ip", ["netns", "add", name]);
    ip([`link add v-${name} type veth peer name eth0 netns ${name}`]);
    ip(commands, name);
    this.#namespaces.set(name, openSync(`/run/netns/${name}`, "r"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    for (const close of this.#closers) close();
    for (const fd of this.#namespaces.values()) closeSync(fd);
  }
}

/** Runs commands of `ip`, in the node's namespace or another. */
function ip(commands: readonly string[], namespace?: string): void {
  const where = namespace === undefined ? [] : ["-n", namespace];
  execFileSync("ip", [...where, "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

function answered(text: string): Outcome {
  const [by = "", sawSource = ""] = text.split(" ");
  return { kind: "answered", by, sawSource };
}

function plain(address: string | undefined): string {
  return (address ?? "").replace("::ffff:", "");
}

function atOnce(
  address: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  done(null, address, address.includes(":") ? 6 : 4);
}
