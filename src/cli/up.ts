import { CLUSTER_FLAGS, clusterConfigOf } from "./cluster-flags.ts";
import type { Command } from "./command.ts";
import { ended } from "./ended.ts";
import { JSON_OUTPUT, wantsJson } from "./flags.ts";

export const up: Command = {
  name: "up",
  summary: "Run Kubernetes Services on this machine, without root, Docker or a cluster.",
  description: `Starts a Kubernetes API, DNS, load balancing and a node that runs Pods as local processes,
all in this process, on loopback addresses. It stays up until Ctrl-C, which stops the Pods;
the objects are kept in the data dir for the next start.`,
  flags: {
    ...CLUSTER_FLAGS,
    output: JSON_OUTPUT,
  },
  examples: [
    ["portolan up", "start, and keep the state in ~/.local/state/portolan"],
    [
      "portolan up --ephemeral --api-listen 127.0.0.1:0 --dns-listen 127.0.0.1:0 -o json",
      "for a test: free ports, nothing kept",
    ],
    ["portolan up -f manifests/ -f extra.yaml", "apply manifests at start"],
  ],
  run: async (context, flags) => {
    const isJson = wantsJson(flags);
    const config = await clusterConfigOf(context, flags, {});
    const { startAllInOne } = await import("../programs/all-in-one.ts");
    const cluster = await startAllInOne(config, context);
    const startMs = Math.round(performance.now());
    for (const problem of cluster.applied.problems)
      context.note(`portolan: not applied: ${problem}\n`);
    if (isJson) {
      const { api, dns, dnsTls, kubeconfig } = cluster;
      const facts = { ready: true, api, dns, dnsTls, kubeconfig, pid: process.pid, startMs };
      context.print(`${JSON.stringify(facts)}\n`);
    } else {
      for (const line of cluster.applied.applied) context.note(`${line}\n`);
      context.note(readyText(cluster.api, cluster.dns, cluster.kubeconfig, startMs));
    }
    await ended(context.signal);
    await cluster[Symbol.asyncDispose]();
    return 0;
  },
};

function readyText(api: string, dns: string, kubeconfig: string, startMs: number): string {
  return [
    `Portolan is ready after ${String(startMs)} ms. Ctrl-C ends it.`,
    `  API  ${api}`,
    `  DNS  ${dns}`,
    "",
    `  export KUBECONFIG=${kubeconfig}`,
    "  kubectl get services,endpointslices,pods",
    "",
  ].join("\n");
}
