import { setTimeout as wait } from "node:timers/promises";
import type { Service } from "../api/v1/service.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Cluster } from "../programs/all-in-one.ts";
import type { CommandContext } from "./command.ts";
import { ended } from "./ended.ts";
import { checkService } from "./service-check.ts";
import type { ServiceCheck } from "./service-check.ts";
import { textTable } from "./text-table.ts";

/** How long the Services may take to answer with --once. */
const ANSWER_TIMEOUT_MS = 30_000;
const RETRY_MS = 50;
const REFRESH_MS = 2000;

/**
 * Prints who answers at each Service of a cluster that has just started, and unless `isOnce` keeps doing so until the
 * context's signal aborts. @returns whether, with `isOnce`, all answered.
 */
export async function showServices(
  cluster: Cluster,
  context: CommandContext,
  isOnce: boolean,
): Promise<boolean> {
  const checks = await firstAnswers(cluster, context);
  const failed = checks.filter(({ problem }) => problem !== undefined);
  context.print(`${render(checks).join("\n")}\n`);
  if (isOnce) {
    for (const { name, problem } of failed) context.note(`portolan: ${name} ${String(problem)}\n`);
    return failed.length === 0;
  }
  context.print(footer(cluster));
  await keepFresh(cluster, context, render(checks));
  return true;
}

/** The first round in which every Service answered, or the last one before the time was up. */
async function firstAnswers(
  cluster: Cluster,
  context: CommandContext,
): Promise<readonly ServiceCheck[]> {
  const deadline = performance.now() + ANSWER_TIMEOUT_MS;
  for (;;) {
    // Asked first: a Pod that becomes ready during the checks may be missing from them.
    const areReady = await arePodsReady(cluster);
    const checks = await checkAll(cluster);
    const isAnswered = checks.length > 0 && checks.every(({ problem }) => problem === undefined);
    const isDone = isAnswered && areReady;
    if (isDone || performance.now() > deadline || context.signal.aborted) return checks;
    await wait(RETRY_MS);
  }
}

async function checkAll(cluster: Cluster): Promise<readonly ServiceCheck[]> {
  const { items } = await cluster.client.list(serviceKind, { namespace: "default" });
  const services = items.filter(({ metadata }) => metadata.name !== "kubernetes").sort(byType);
  return Promise.all(services.map((service) => checkService(cluster, service)));
}

/** Before that the table would show fewer Pods than there are. */
async function arePodsReady(cluster: Cluster): Promise<boolean> {
  const { items } = await cluster.client.list(podKind, { namespace: "default" });
  return items.every(({ status }) =>
    (status?.conditions ?? []).some(
      ({ type, status: value }) => type === "Ready" && value === "True",
    ),
  );
}

const ORDER = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Headless"];

function byType(a: Service, b: Service): number {
  const rank = ({ spec }: Service): number =>
    ORDER.indexOf(spec.clusterIP === "None" ? "Headless" : (spec.type ?? "ClusterIP"));
  return rank(a) - rank(b) || (a.metadata.name < b.metadata.name ? -1 : 1);
}

function render(checks: readonly ServiceCheck[]): readonly string[] {
  return textTable(
    ["SERVICE", "TYPE", "ADDRESS", "DNS ANSWERS", "ANSWERED BY"],
    checks.map(({ name, type, address, dnsAnswer, answeredBy, problem }) => [
      name,
      type,
      address,
      dnsAnswer,
      problem ?? answeredBy.join(" "),
    ]),
  );
}

function footer(cluster: Cluster): string {
  const [dnsAddress = "", dnsPort = ""] = cluster.dns.split(":");
  return [
    "",
    `kubeconfig: ${cluster.kubeconfig}`,
    "Try, in another terminal:",
    `  export KUBECONFIG=${cluster.kubeconfig}`,
    "  kubectl get services,endpointslices,pods -o wide",
    `  dig +short @${dnsAddress} -p ${dnsPort} peers.default.svc.${cluster.clusterDomain}`,
    "  kubectl delete pod web-1    # and watch who answers then",
    "Ctrl-C ends it.",
    "",
  ].join("\n");
}

/** On a terminal the table is drawn anew in its place; elsewhere it is printed again when it changed. */
async function keepFresh(
  cluster: Cluster,
  context: CommandContext,
  first: readonly string[],
): Promise<void> {
  let lines = first.length + footer(cluster).split("\n").length - 1;
  let shown = first.join("\n");
  const end = ended(context.signal);
  while (!context.signal.aborted) {
    await Promise.race([end, wait(REFRESH_MS, undefined, { ref: false })]);
    if (context.signal.aborted) return;
    const table = render(await checkAll(cluster).catch(() => []));
    if (context.terminalWidth === undefined) {
      const text = table.join("\n");
      if (text !== shown) context.print(`\n${text}\n`);
      shown = text;
      continue;
    }
    const text = `${table.map((line) => line.slice(0, context.terminalWidth)).join("\n")}\n${footer(cluster)}`;
    context.print(`\u001b[${String(lines)}A\u001b[J${text}`);
    lines = text.split("\n").length - 1;
  }
}
