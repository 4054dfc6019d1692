// node bench/proxy.mjs PART...: what the nftables data plane costs, in network namespaces of its own.
// Parts: load change path affinity churn throughput repair traffic rss, and all of them: all. Sizes by SERVICES=n
// ENDPOINTS=n where a part takes them; LIMIT_MS ends the run. `rss` runs dist/portolan.js: npm run build before.
// The peer is a ruleset of our own in kube-proxy's manner: chains for each Service and endpoint. Loading its 100,000 of
// them takes 20 s for root, and minutes for others: nft then may not send many at once.
import { spawnSync } from "node:child_process";
import { bundle } from "./measure.mjs";

const outfile = await bundle("bench/proxy-inside.mjs");
const script = 'mount -t tmpfs none /run && exec "$0" "$@"';
const inside = [process.execPath, "--expose-gc", outfile, ...process.argv.slice(2)];
const namespaces = process.getuid() === 0 ? "-nm" : "-Urnm";
const { status } = spawnSync("unshare", [namespaces, "--kill-child", "sh", "-c", script, ...inside], {
  stdio: "inherit",
  timeout: Number(process.env.LIMIT_MS ?? 600_000),
  killSignal: "SIGKILL",
});
process.exit(status ?? 1);
