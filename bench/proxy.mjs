// npm run bench:proxy, or node bench/proxy.mjs PART...: what the nftables data plane costs, each part in a process and a
// network namespace of its own. Parts: load change path affinity churn throughput repair traffic program agent, and
// `all` of these; and profile, which needs the program perf.
// Sizes by SERVICES=n ENDPOINTS=n where a part takes them. `program` and `agent` run dist/portolan.js: npm run build before.
// The peer is a ruleset of our own in kube-proxy's manner: chains for each Service and endpoint. Loading 100,000 of them
// for `path` takes 20 s for root, and minutes for others, as nft then may not send many at once.
import { spawnSync } from "node:child_process";
import { bundle, conditions } from "./measure.mjs";

const ALL = ["load", "program", "agent", "change", "path", "affinity", "throughput", "repair", "churn", "traffic"];
const KNOWN = [...ALL, "profile"];
const LIMIT_MS = Number(process.env.LIMIT_MS ?? 400_000);

const wanted = process.argv.slice(2);
const parts = wanted.includes("all") ? ALL : wanted;
const unknown = parts.find((part) => !KNOWN.includes(part));
if (parts.length === 0 || unknown !== undefined) {
  console.error(`usage: node bench/proxy.mjs PART..., of ${KNOWN.join(" ")} or all${unknown === undefined ? "" : `; there is no ${unknown}`}`);
  process.exit(2);
}
const outfile = await bundle("bench/proxy-inside.mjs");
const namespaces = process.getuid() === 0 ? "-nm" : "-Urnm";
const script = 'mount -t tmpfs none /run && exec "$0" "$@"';
console.log(conditions());
for (const part of parts) {
  const inside = [process.execPath, "--expose-gc", outfile, part];
  const { status } = spawnSync("unshare", [namespaces, "--kill-child", "sh", "-c", script, ...inside], {
    stdio: "inherit",
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  if (status !== 0) process.exit(status ?? 1);
}
