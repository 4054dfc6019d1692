// node bench/proxy.mjs PART...: what the nftables data plane costs, in network namespaces of its own.
// Parts: load change path affinity churn throughput repair traffic; sizes by SERVICES=n ENDPOINTS=n where a part takes them.
// The peer is a ruleset of our own in kube-proxy's manner: chains for each Service and endpoint.
import { spawnSync } from "node:child_process";
import { bundle } from "./measure.mjs";

const outfile = await bundle("bench/proxy-inside.mjs");
const script = 'mount -t tmpfs none /run && exec "$0" "$@"';
const inside = [process.execPath, "--expose-gc", outfile, ...process.argv.slice(2)];
const { status } = spawnSync("unshare", ["-Urnm", "--kill-child", "sh", "-c", script, ...inside], {
  stdio: "inherit",
  timeout: Number(process.env.LIMIT_MS ?? 190_000),
  killSignal: "SIGKILL",
});
process.exit(status ?? 1);
