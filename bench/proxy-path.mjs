// First packets: how long a connect takes and how many connections a second there are, with no rules at all, with ours
// and with the peer's, each in a node of its own whose rules are loaded once.
import { median } from "./measure.mjs";
import { CLIENTS, network } from "./proxy-network.mjs";
import { podAddress, reachableAddress, serviceAddress } from "./proxy-objects.mjs";
import { chainPerService, loadPeer } from "./proxy-peer.mjs";

const ENDPOINTS = 10;
const ROUNDS = Number(process.env.ROUNDS ?? 15);
const CONNECTS = 2000;
/** Through how many Services a round goes in turn: the first, ten of them, and as many as fit into a round. */
const KINDS = { one: 1, ten: 10, many: CONNECTS };
const LABELS = { one: "one Service", ten: "10 in turn", many: "all in turn" };

/** @param loadOurs loads so many Services into the node of a network. */
export async function pathPart(libc, loadOurs) {
  const peerServices = Number(process.env.PEER_SERVICES ?? 10_000);
  const stands = [];
  const add = (name, services, net, port = 80) => stands.push(standOf(name, services, net, port));
  add("no rules, Pods' addresses", 10_000, network(libc, "bare"), 8080);
  for (const services of [10, 1000, 10_000, 30_000]) {
    const net = network(libc, `ours${String(services)}`);
    await loadOurs(net, services, ENDPOINTS);
    add(`ours, ${services} Services`, services, net);
    if (services === 10_000) add(`ours, ${services} Services, but Pods' addresses`, services, net, 8080);
  }
  const peer = network(libc, "peer");
  const peerMs = loadPeer(chainPerService(peerServices, ENDPOINTS, reachableAddress), peer.node);
  add(`peer, ${peerServices} Services`, peerServices, peer);
  console.log(`path: the peer's ${peerServices} x ${ENDPOINTS} loaded in ${(peerMs / 1000).toFixed(1)} s; ${ROUNDS} rounds in turn of ${CONNECTS} connections each, medians of rounds`);
  for (let round = -1; round < ROUNDS; round++) {
    // Each round from another address and from another beginning.
    for (let k = 0; k < stands.length; k++) {
      const { net, port, addresses, results } = stands[(round + 1 + k) % stands.length];
      net.useClient(CLIENTS[(round + 1) % CLIENTS.length]);
      // After a stand without rules the kernel's memory of connections is not at hand.
      net.connects(addresses.one, port, CONNECTS / 10, "client");
      for (const kind of Object.keys(KINDS)) {
        const { times, perSecond } = net.connects(addresses[kind], port, CONNECTS, "client");
        // The first round is for warmth.
        if (round >= 0) results[kind].push({ us: median(times), perSecond });
      }
    }
  }
  const peerResults = stands.at(-1).results;
  for (const { name, results } of stands) {
    const p50 = {};
    for (const [kind, label] of Object.entries(LABELS)) {
      const us = results[kind].map((each) => each.us);
      const perSecond = median(results[kind].map((each) => each.perSecond));
      // Round by round, as all of them slow down while the kernel's memory of connections grows.
      const ratio = median(results[kind].map((each, round) => each.perSecond / peerResults[kind][round].perSecond));
      p50[kind] = median(us);
      console.log(
        `path ${name}, ${label}: connect p50 ${p50[kind].toFixed(1)} us (rounds ${Math.min(...us).toFixed(1)}..${Math.max(...us).toFixed(1)}), ${Math.round(perSecond)} connections/s, ${ratio.toFixed(3)} of the peer's`,
      );
    }
    console.log(`path ${name}: all in turn take ${(p50.many - p50.ten).toFixed(1)} us more than 10 in turn, ${(100 * (p50.many / p50.ten - 1)).toFixed(0)} %`);
  }
  for (const { net } of stands) net.close();
}

/** What is connected to through a network: Services at port 80, or Pods at another; in no order. */
export function standOf(name, services, net, port) {
  const address = (i) => (port === 80 ? serviceAddress(i) : i === 0 ? reachableAddress(0, 0, ENDPOINTS) : podAddress(i, i % ENDPOINTS, ENDPOINTS));
  const addresses = {};
  for (const [kind, count] of Object.entries(KINDS)) addresses[kind] = Array.from({ length: count }, (_, i) => address((i * 7919) % services));
  return { name, net, port, addresses, results: { one: [], ten: [], many: [] } };
}
