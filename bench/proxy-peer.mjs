// The peer: a ruleset of our own in kube-proxy's manner.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { serviceAddress } from "./proxy-objects.mjs";

/** Root's rights hold outside of the namespaces too, as proxy.mjs makes no user namespace for root. */
const IS_ROOT = readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/).join(" ") === "0 0 4294967295";

/** kube-proxy's hooks, and the checks that every new connection goes through there. */
const BASE = `
add map ip peer firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
add map ip peer no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
add map ip peer service-nodeports { type inet_proto . inet_service : verdict; }
add set ip peer nodeport-ips { type ipv4_addr; elements = { 192.0.2.1 }; }
add rule ip peer services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
add chain ip peer firewall-check
add rule ip peer firewall-check ip daddr . meta l4proto . th dport vmap @firewall-ips
add chain ip peer service-endpoints-check
add rule ip peer service-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add chain ip peer cluster-ips-check
add rule ip peer cluster-ips-check ip daddr @cluster-ips reject
add rule ip peer cluster-ips-check ip daddr 10.128.0.0/12 drop
add chain ip peer filter-prerouting-pre-dnat { type filter hook prerouting priority -110; }
add rule ip peer filter-prerouting-pre-dnat ct state new jump firewall-check
add chain ip peer filter-output-pre-dnat { type filter hook output priority -110; }
add rule ip peer filter-output-pre-dnat ct state new jump firewall-check
add chain ip peer filter-input { type filter hook input priority 0; }
add rule ip peer filter-input ct state new jump service-endpoints-check
add chain ip peer filter-forward { type filter hook forward priority 0; }
add rule ip peer filter-forward ct state new jump service-endpoints-check
add rule ip peer filter-forward ct state new jump cluster-ips-check
add chain ip peer filter-output { type filter hook output priority 0; }
add rule ip peer filter-output ct state new jump service-endpoints-check
add rule ip peer filter-output ct state new jump cluster-ips-check
add chain ip peer nat-prerouting { type nat hook prerouting priority -100; }
add rule ip peer nat-prerouting jump services
add chain ip peer nat-output { type nat hook output priority -100; }
add rule ip peer nat-output jump services
add chain ip peer masquerading
add rule ip peer masquerading meta mark and 0x4000 == 0 return
add rule ip peer masquerading meta mark set meta mark xor 0x4000
add rule ip peer masquerading masquerade fully-random
add chain ip peer nat-postrouting { type nat hook postrouting priority 100; }
add rule ip peer nat-postrouting jump masquerading
`;

/** kube-proxy's manner: a chain for each Service with a verdict map of random numbers, and one for each endpoint. */
export function chainPerService(services, endpoints, address, affinity = false) {
  const lines = [
    "add table ip peer",
    "add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }",
    "add set ip peer cluster-ips { type ipv4_addr; }",
    "add chain ip peer services",
    "add rule ip peer services ip daddr . meta l4proto . th dport vmap @service-ips",
    "add chain ip peer hide",
    "add rule ip peer hide meta mark set meta mark or 0x4000",
  ];
  const chunks = [];
  for (let i = 0; i < services; i++) {
    const vip = serviceAddress(i);
    const name = `service-${String(i)}`;
    const verdicts = [];
    for (let j = 0; j < endpoints; j++) {
      const endpoint = `endpoint-${String(i)}-${String(j)}`;
      lines.push(`add chain ip peer ${endpoint}`);
      if (affinity && i === 0) lines.push(`add set ip peer a-${endpoint} { type ipv4_addr; flags dynamic,timeout; timeout 10800s; }`);
      lines.push(`add rule ip peer ${endpoint} ip saddr ${address(i, j, endpoints)} jump hide`);
      if (affinity && i === 0) lines.push(`add rule ip peer ${endpoint} update @a-${endpoint} { ip saddr }`);
      lines.push(`add rule ip peer ${endpoint} meta l4proto tcp dnat to ${address(i, j, endpoints)}:8080`);
      verdicts.push(`${String(j)} : goto ${endpoint}`);
    }
    lines.push(`add chain ip peer ${name}`);
    lines.push(`add rule ip peer ${name} ip daddr ${vip} tcp dport 80 ip saddr != 10.0.0.0/9 jump hide`);
    if (affinity && i === 0) {
      for (let j = 0; j < endpoints; j++) lines.push(`add rule ip peer ${name} ip saddr @a-endpoint-0-${String(j)} goto endpoint-0-${String(j)}`);
    }
    lines.push(`add rule ip peer ${name} numgen random mod ${String(endpoints)} vmap { ${verdicts.join(", ")} }`);
    lines.push(`add element ip peer service-ips { ${vip} . tcp . 80 : goto ${name} }`);
    lines.push(`add element ip peer cluster-ips { ${vip} }`);
  }
  // nft may not send more at once without root's rights outside of the namespace. Each call costs it as much as there is.
  const atOnce = IS_ROOT ? 20_000 : 800;
  for (let at = 0; at < lines.length; at += atOnce) chunks.push(lines.slice(at, at + atOnce).join("\n"));
  // Last, so that the kernel does not follow all chains anew with each transaction.
  chunks.push(BASE);
  return chunks;
}

/** @returns how many milliseconds it took. `node` names a network namespace; undefined is this process's. */
export function loadPeer(chunks, node = undefined) {
  const began = performance.now();
  for (const chunk of chunks) nft(node, ["-f", "-"], { input: `${chunk}\n`, maxBuffer: 1 << 26 });
  return performance.now() - began;
}

export function dropPeer(node = undefined) {
  nft(node, ["delete", "table", "ip", "peer"]);
}

function nft(node, args, options = {}) {
  execFileSync(...(node === undefined ? ["nft", args, options] : ["ip", ["netns", "exec", node, "nft", ...args], options]));
}
