import { fiveServicesFile } from "../programs/bundled.ts";
import { CLUSTER_FLAGS, clusterConfigOf } from "./cluster-flags.ts";
import type { Command } from "./command.ts";

export const demo: Command = {
  name: "demo",
  summary: "Run an example with a Service of each type, and show who answers.",
  description: `Starts Portolan with examples/five-services.yaml: Pods that are real local HTTP servers, and one
Service of each type in front of them. Sends real requests through each Service and shows a table of
what DNS answers and which Pods answered. Everything is temporary unless --data-dir is given.`,
  flags: {
    ...CLUSTER_FLAGS,
    once: {
      type: "boolean",
      description: "Exit when all five Services have answered: 0, or 1 and why not.",
    },
  },
  examples: [
    ["portolan demo", "stay up and keep the table fresh until Ctrl-C"],
    ["portolan demo --once", "check that everything works on this machine"],
  ],
  run: async (context, flags) => {
    const config = await clusterConfigOf(context, flags, {
      ephemeral: true,
      apiListen: "127.0.0.1:0",
      dnsListen: "127.0.0.1:0",
    });
    const manifests = [fiveServicesFile(), ...config.manifests];
    const { startAllInOne } = await import("../programs/all-in-one.ts");
    const { showServices } = await import("./demo-table.ts");
    const cluster = await startAllInOne({ ...config, manifests }, context);
    try {
      const { problems } = cluster.applied;
      for (const problem of problems) context.note(`portolan: not applied: ${problem}\n`);
      const isOnce = flags["once"] === true;
      const haveAnswered = await showServices(cluster, context, isOnce);
      if (!isOnce) return 0;
      return haveAnswered && problems.length === 0 && !context.signal.aborted ? 0 : 1;
    } finally {
      await cluster[Symbol.asyncDispose]();
    }
  },
};
