// Networks for the benches of the proxy: a node, and two namespaces behind it, a client and a Pod. Sockets of both ends
// belong to this process, which opens them inside of those namespaces.
import { execFileSync } from "node:child_process";
import { openSync } from "node:fs";
import { median } from "./measure.mjs";
import { POD_RANGE } from "./proxy-objects.mjs";

/** Of the world outside, and of a Pod: by default connections come from the first of them. */
const WORLD = "192.0.2.2";
export const CLIENTS = Array.from({ length: 8 }, (_, i) => `10.98.0.${String(i + 1)}`);

/**
 * @param node name of a network namespace to make as the node; undefined: the one that this process is in.
 * The Pod answers at port 8080 of every address of POD_RANGE: so many endpoints there are.
 */
export function network(libc, node = undefined) {
  const call = callsOf(libc);
  const home = openSync("/proc/self/ns/net", "r");
  const name = (part) => (node === undefined ? part : `${node}-${part}`);
  const at = (namespace) => openSync(`/run/netns/${namespace}`, "r");
  if (node !== undefined) execFileSync("ip", ["netns", "add", node]);
  const ip = (commands, where) => execFileSync("ip", [...(where ? ["-n", where] : []), "-batch", "-"], { input: commands.join("\n") });
  const sysctl = (setting, where) => execFileSync(...(where ? ["ip", ["netns", "exec", where, "sysctl", "-qw", setting]] : ["sysctl", ["-qw", setting]]));
  ip(["link set lo up"], node);
  sysctl("net.ipv4.ip_forward=1", node);
  for (const [part, addresses, gateway] of [
    ["world", [WORLD], "192.0.2.1"],
    ["client", CLIENTS, "10.98.0.254"],
    ["pod", ["10.99.0.1"], "10.99.0.254"],
  ]) {
    const own = name(part);
    const link = `v-${part}`;
    execFileSync("ip", ["netns", "add", own]);
    ip([`link add ${link} type veth peer name eth0 netns ${own}`, `addr add ${gateway}/24 dev ${link}`, `link set ${link} up`], node);
    ip([...addresses.map((address) => `addr add ${address}/24 dev eth0`), "link set eth0 up", "link set lo up", `route add default via ${gateway}`], own);
    sysctl("net.ipv4.ip_local_port_range=1024 65000", own);
  }
  ip([`route add ${POD_RANGE} via 10.99.0.1`], node);
  ip([`route add local ${POD_RANGE} dev lo`], name("pod"));
  const home_ = node === undefined ? home : at(node);
  const inside = (fd, act) => {
    call.setns(fd, NEW_NET);
    try {
      return act();
    } finally {
      call.setns(home, NEW_NET);
    }
  };
  const listener = inside(at(name("pod")), () => {
    const fd = call.socket(2, 1 | 0x800, 0);
    call.setsockopt(fd, 1, 2, new Uint8Array([1, 0, 0, 0]), 4);
    if (call.bind(fd, sockaddr("0.0.0.0", 8080), 16) !== 0 || call.listen(fd, 4096) !== 0) throw new Error("listen");
    return fd;
  });
  const places = { world: at(name("world")), client: at(name("client")) };
  const end = (fd) => {
    // A reset: no TIME_WAIT that would hold the port.
    call.setsockopt(fd, 1, 13, RESET, 8);
    call.close(fd);
  };
  return {
    node,
    client: name("client"),
    world: name("world"),
    pod: name("pod"),
    /** Runs `act`, which must not wait, in the node's namespace. */
    onNode: (act) => inside(home_, act),
    close: () => call.close(listener),
    /** From now on the client's connections come from this one of its addresses. */
    useClient: (address) => ip([`route replace default via 10.98.0.254 src ${address}`], name("client")),
    /**
     * Connects `count` times, to one after the other of `addresses`; each connection is opened, accepted and reset.
     * @returns microseconds that each connect took, and how many connections a second there are when each takes from
     * socket to closed as long as the median of them: what another program takes of the processor then says nothing.
     * @throws on a failed connection.
     */
    connects(addresses, port, count, from = "world") {
      const times = [];
      const to = addresses.map((address) => sockaddr(address, port));
      const limit = new Uint8Array(16);
      new DataView(limit.buffer).setBigInt64(0, 5n, true);
      return inside(places[from], () => {
        const whole = [];
        for (let i = 0; i < count; i++) {
          const start = performance.now();
          const fd = call.socket(2, 1, 0);
          // A lost SYN shows as a failure, not as a wait for ever.
          call.setsockopt(fd, 1, 21, limit, 16);
          const began = performance.now();
          const result = call.connect(fd, to[i % to.length], 16);
          times.push((performance.now() - began) * 1000);
          if (result !== 0) throw new Error(`connect ${addresses[i % to.length]}: errno ${libc.errno()}`);
          end(call.accept(listener, null, null, 0));
          end(fd);
          whole.push(performance.now() - start);
        }
        return { times, perSecond: 1000 / median(whole) };
      });
    },
  };
}

const NEW_NET = 0x40000000;
const RESET = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

function sockaddr(address, port) {
  const bytes = new Uint8Array(16);
  bytes.set([2, 0, port >> 8, port & 255, ...address.split(".").map(Number)]);
  return bytes;
}

let calls;

/** Declared once: a library's function cannot be declared twice by one name. */
function callsOf(libc) {
  calls ??= {
    setns: libc.func("int setns(int fd, int kind)"),
    socket: libc.func("int socket(int domain, int type, int protocol)"),
    bind: libc.func("int bind(int fd, void *address, uint32_t length)"),
    listen: libc.func("int listen(int fd, int backlog)"),
    connect: libc.func("int connect(int fd, void *address, uint32_t length)"),
    accept: libc.func("int accept4(int fd, void *address, void *length, int flags)"),
    setsockopt: libc.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)"),
    close: libc.func("int close(int fd)"),
  };
  return calls;
}
