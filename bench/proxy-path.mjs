// First packets: how long a connect takes and how many connections a second there are, with no rules at all, with ours
// and with the peer's, each in a node of its own whose rules are loaded once.
import { median } from "./measure.mjs";
import { CLIENTS, network } from "./proxy-network.mjs";
import { podAddress, reachableAddress, serviceAddress } from "./proxy-objects.mjs";
import { chainPerService, loadPeer } from "./proxy-peer.mjs";

const ENDPOINTS = 10;
const ROUNDS = Number(process.env.ROUNDS ?? 15);
const CONNECTS = 2000;
/** As many Services as "all in turn" goes through in a round. */
const MANY = CONNECTS;

/** @param loadOurs loads so many Services into the node of a network. */
export async function pathPart(libc, loadOurs) {
  const peerServices = Number(process.env.PEER_SERVICES ?? 10_000);
  const stands = [];
  const add = (name, services, net, port = 80) => stands.push({ name, net, port, ...targets(services, port), results: { one: [], many: [] } });
  add("no rules, Pod's address", 10_000, network(libc, "bare"), 8080);
  for (const services of [10, 1000, 10_000, 30_000]) {
    const net = network(libc, `ours${String(services)}`);
    await loadOurs(net, services, ENDPOINTS);
    add(`ours, ${services} Services`, services, net);
    if (services === 10_000) add(`ours, ${services} Services, but a Pod's address`, services, net, 8080);
  }
  const peer = network(libc, "peer");
  const peerMs = loadPeer(chainPerService(peerServices, ENDPOINTS, reachableAddress), peer.node);
  add(`peer, ${peerServices} Services`, peerServices, peer);
  console.log(`path: the peer's ${peerServices} x ${ENDPOINTS} loaded in ${(peerMs / 1000).toFixed(1)} s; ${ROUNDS} rounds in turn of ${CONNECTS} connections each, medians of rounds`);
  for (let round = -1; round < ROUNDS; round++) {
    // Each round from another address and from another beginning.
    for (let k = 0; k < stands.length; k++) {
      const { net, port, one, many, results } = stands[(round + 1 + k) % stands.length];
      net.useClient(CLIENTS[(round + 1) % CLIENTS.length]);
      for (const [kind, addresses] of Object.entries({ one, many })) {
        const { times, perSecond } = net.connects(addresses, port, CONNECTS, "client");
        // The first round is for warmth.
        if (round >= 0) results[kind].push({ us: median(times), perSecond });
      }
    }
  }
  const peerResults = stands.at(-1).results;
  for (const { name, results } of stands) {
    for (const [kind, label] of [
      ["one", "one Service"],
      ["many", "all in turn"],
    ]) {
      const us = results[kind].map((each) => each.us);
      const perSecond = median(results[kind].map((each) => each.perSecond));
      const ratio = perSecond / median(peerResults[kind].map((each) => each.perSecond));
      console.log(
        `path ${name}, ${label}: connect p50 ${median(us).toFixed(1)} us (rounds ${Math.min(...us).toFixed(1)}..${Math.max(...us).toFixed(1)}), ${Math.round(perSecond)} connections/s, ${ratio.toFixed(3)} of the peer's`,
      );
    }
  }
  for (const { net } of stands) net.close();
}

/** Addresses to connect to: those of one Service (or Pod), and those of many in turn, in no order. */
function targets(services, port) {
  const address = (i) => (port === 80 ? serviceAddress(i) : i === 0 ? reachableAddress(0, 0, ENDPOINTS) : podAddress(i, i % ENDPOINTS, ENDPOINTS));
  return { one: [address(0)], many: Array.from({ length: MANY }, (_, i) => address((i * 7919) % services)) };
}
