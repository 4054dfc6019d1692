// node bench/proxy.mjs PART...: what the nftables data plane costs, in network namespaces of its own.
// Parts: load change path affinity churn throughput repair; sizes by SERVICES=n ENDPOINTS=n where a part takes them.
// The peer is a ruleset of our own in kube-proxy's manner: chains for each Service and endpoint.
import { spawnSync } from "node:child_process";
import { build } from "esbuild";

const outfile = "dist/bench-proxy-inside.js";
await build({
  entryPoints: ["bench/proxy-inside.mjs"],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  packages: "external",
  logLevel: "warning",
});
const script = 'mount -t tmpfs none /run && exec "$0" "$@"';
const inside = [process.execPath, "--expose-gc", outfile, ...process.argv.slice(2)];
const { status } = spawnSync("unshare", ["-Urnm", "--kill-child", "sh", "-c", script, ...inside], {
  stdio: "inherit",
  timeout: Number(process.env.LIMIT_MS ?? 190_000),
  killSignal: "SIGKILL",
});
process.exit(status ?? 1);
