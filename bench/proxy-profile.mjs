// Where the time of a connect goes, by perf's samples of the kernel: through 10 Services in turn, and through as many as
// there are, with no rules, with ours and with the peer's. To sample costs time as well, most of it where calls nest deepest.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { temporaryFolder } from "./measure.mjs";
import { CLIENTS, network } from "./proxy-network.mjs";
import { reachableAddress } from "./proxy-objects.mjs";
import { standOf } from "./proxy-path.mjs";
import { chainPerService, loadPeer } from "./proxy-peer.mjs";

const ENDPOINTS = 10;
const CONNECTS = 2000;
const ROUNDS = Number(process.env.ROUNDS ?? 30);
const HERTZ = 10_000;
/** The first that holds for a sample's stack has it. */
const PARTS = [
  ["look-ups in maps and sets, counters", /^nft_(rhash|hash|rbtree|lookup|set_do_lookup|counter)/],
  ["NAT of a rule", /^nft_nat_eval/],
  ["the rest of the rules", /^nft_do_chain$/],
  ["conntrack and NAT", /^nf_(conntrack|nat|confirm)|^ipv4_conntrack/],
  ["TCP, IP, veth", /./],
];

/** @param loadOurs loads so many Services into the node of a network. */
export async function profilePart(libc, loadOurs) {
  const stands = [standOf("no rules, Pods' addresses", 10_000, network(libc, "bare"), 8080)];
  const ours = network(libc, "ours");
  await loadOurs(ours, 30_000, ENDPOINTS);
  stands.push(standOf("ours, 30000 Services", 30_000, ours, 80));
  const peer = network(libc, "peer");
  loadPeer(chainPerService(10_000, ENDPOINTS, reachableAddress), peer.node);
  stands.push(standOf("peer, 10000 Services", 10_000, peer, 80));
  const file = join(temporaryFolder(), "perf.data");
  const other = new Uint8Array(32 * 2 ** 20);
  for (const { name, net, port, addresses } of stands) {
    for (const [kind, label] of [["ten", "10 in turn"], ["many", "all in turn"]]) {
      const perf = spawn("perf", ["record", "-q", "-F", String(HERTZ), "-e", "cpu-clock", "-g", "-p", String(process.pid), "-o", file], { stdio: ["ignore", "ignore", "inherit"] });
      await once(perf, "spawn");
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (let round = 0; round < ROUNDS; round++) {
        net.useClient(CLIENTS[round % CLIENTS.length]);
        // A node does other things, too, between connections to one Service.
        other.fill(round);
        net.connects(addresses[kind], port, CONNECTS, "client");
      }
      perf.kill("SIGINT");
      await once(perf, "exit");
      const us = await microseconds(file, ROUNDS * CONNECTS);
      const all = [...us.values()].reduce((sum, each) => sum + each, 0);
      const parts = PARTS.map(([part]) => `${part} ${(us.get(part) ?? 0).toFixed(1)}`).join("; ");
      console.log(`profile ${name}, ${label}: ${all.toFixed(1)} us a connect while sampled: ${parts}`);
    }
  }
}

/** Microseconds of each part a connect. */
async function microseconds(file, connects) {
  const script = spawn("perf", ["script", "-i", file, "-F", "ip,sym"], { stdio: ["ignore", "pipe", "ignore"] });
  const us = new Map();
  let stack = [];
  for await (const line of createInterface({ input: script.stdout })) {
    if (line.trim() !== "") {
      stack.push(line.trim().split(/\s+/)[1] ?? "");
      continue;
    }
    if (stack.includes("__sys_connect")) {
      const [part] = PARTS.find(([, test]) => stack.some((name) => test.test(name)));
      us.set(part, (us.get(part) ?? 0) + 1e6 / HERTZ / connects);
    }
    stack = [];
  }
  return us;
}
