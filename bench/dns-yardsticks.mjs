// Other DNS servers over the same names, each on two threads or processes: NSD and Knot where they are installed
// (Debian: nsd, knot), a bare server of CoreDNS's library where Go is ($GO), CoreDNS itself when it is on PATH.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { zoneFile } from "./dns-cluster.mjs";

export const MIEKG = "Go, miekg/dns";
export const NSD = "NSD";
export const KNOT = "Knot";
export const COREDNS = "CoreDNS";

/** @returns [name, start] of each that is there; `start(port)` gives the child process. */
export async function yardsticks(dir, size, kubeconfig) {
  const zone = join(dir, "cluster.local.zone");
  const file = createWriteStream(zone);
  for (const lines of zoneFile(...size)) file.write(lines);
  file.end();
  await once(file, "close");
  const found = [];
  if (isThere("nsd", ["-v"])) found.push([NSD, (port) => startNsd(dir, zone, port)]);
  if (isThere("knotd", ["--version"])) found.push([KNOT, (port) => startKnot(dir, zone, port)]);
  const go = process.env.GO ?? "go";
  if (isThere(go, ["version"])) {
    const program = join(dir, "miekg");
    try {
      execFileSync(go, ["build", "-o", program, "."], { cwd: "bench/miekg", stdio: "inherit" });
      found.push([MIEKG, (port) => spawn(program, [port, zone].map(String), { stdio: "ignore", env: { ...process.env, GOMAXPROCS: "2" } })]);
    } catch (error) {
      console.error(`without miekg/dns: ${error.message}`);
    }
  }
  if (isThere("coredns", ["-version"])) found.push([COREDNS, (port) => startCoreDns(dir, kubeconfig, port)]);
  return found;
}

function isThere(program, args) {
  return spawnSync(program, args).error === undefined;
}

function startNsd(dir, zone, port) {
  const config = join(dir, "nsd.conf");
  writeFileSync(
    config,
    `server:
  ip-address: 127.0.0.1@${port}
  server-count: 2
  username: ""
  chroot: ""
  database: ""
  rrl-ratelimit: 0
  zonesdir: "${dir}"
  pidfile: "${dir}/nsd.pid"
  xfrdfile: "${dir}/nsd.xfrd"
  xfrdir: "${dir}"
  zonelistfile: "${dir}/nsd.list"
remote-control:
  control-enable: no
zone:
  name: cluster.local
  zonefile: "${zone}"
`,
  );
  return spawn("nsd", ["-d", "-c", config], { stdio: "ignore" });
}

function startKnot(dir, zone, port) {
  const rundir = join(dir, "knot");
  mkdirSync(rundir, { recursive: true });
  const config = join(dir, "knot.conf");
  writeFileSync(
    config,
    `server:
  rundir: ${rundir}
  listen: 127.0.0.1@${port}
  udp-workers: 2
  tcp-workers: 1
  background-workers: 1
database:
  storage: ${rundir}
zone:
  - domain: cluster.local
    storage: ${dir}
    file: ${zone}
`,
  );
  return spawn("knotd", ["-c", config], { stdio: "ignore" });
}

/** What kubeadm's Corefile does with a cluster's names. */
function startCoreDns(dir, kubeconfig, port) {
  const config = join(dir, `Corefile-${port}`);
  writeFileSync(
    config,
    `.:${port} {
  bind 127.0.0.1
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${kubeconfig}
    pods insecure
    ttl 30
  }
  cache 30
  loadbalance
}
`,
  );
  return spawn("coredns", ["-conf", config], { stdio: "ignore", env: { ...process.env, GOMAXPROCS: "2" } });
}
