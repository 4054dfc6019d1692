import { Resolver } from "node:dns/promises";
import { get } from "node:http";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";

/** What a user of a Service sees: its name's answer, and who answers requests sent to it. */
export interface ServiceCheck {
  readonly name: string;
  readonly type: string;
  /** Where requests were sent, as a user would write it. */
  readonly address: string;
  /** What DNS answers for the Service's name. */
  readonly dnsAnswer: string;
  /** Pods that answered requests, in order of name. */
  readonly answeredBy: readonly string[];
  /** Why it does not answer; undefined when it does. */
  readonly problem: string | undefined;
}

export interface CheckDeps {
  readonly client: ApiClient;
  /** `IP:PORT` of the cluster's DNS server. */
  readonly dns: string;
  readonly clusterDomain: string;
}

/** Requests sent for one check: enough to meet each of a few Pods nearly always. */
const REQUESTS = 12;
const REQUEST_TIMEOUT_MS = 2000;

/** Asks DNS for the Service's name and sends real requests through the Service. Never rejects. */
export async function checkService(deps: CheckDeps, service: Service): Promise<ServiceCheck> {
  const { name, namespace = "default" } = service.metadata;
  const isHeadless = service.spec.clusterIP === "None";
  const type = isHeadless ? "Headless" : (service.spec.type ?? "ClusterIP");
  const fqdn = `${name}.${namespace}.svc.${deps.clusterDomain}`;
  const seen = { name, type, address: "", dnsAnswer: "", answeredBy: [] };
  try {
    const dns = await askDns(deps.dns, fqdn);
    const targets = await targetsOf(deps.client, service, dns.addresses);
    const found = { ...seen, address: targets.shown, dnsAnswer: dns.shown };
    if (targets.urls.length === 0) return { ...found, problem: "has no address yet" };
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, (_, i) =>
        askPod(targets.urls[i % targets.urls.length] ?? ""),
      ),
    );
    const pods = answers.flatMap((answer) => (answer.kind === "pod" ? [answer.pod] : []));
    const refused = answers.find((answer) => answer.kind === "refused");
    return { ...found, answeredBy: [...new Set(pods)].sort(), problem: refused?.reason };
  } catch (error) {
    return { ...seen, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** The addresses; behind "CNAME" when they are those of another name, which the Service's address shows. */
async function askDns(
  server: string,
  name: string,
): Promise<{ shown: string; addresses: readonly string[] }> {
  const resolver = new Resolver({ timeout: REQUEST_TIMEOUT_MS, tries: 1 });
  resolver.setServers([server]);
  const cname = await resolver.resolveCname(name).catch(() => []);
  const addresses = await resolver.resolve4(name);
  return {
    shown: [...cname.map(() => "CNAME"), ...[...addresses].sort()].join(" "),
    addresses,
  };
}

async function targetsOf(
  client: ApiClient,
  service: Service,
  resolved: readonly string[],
): Promise<{ shown: string; urls: readonly string[] }> {
  const port = service.spec.ports?.[0];
  const at = (addresses: readonly (string | undefined)[], number: number | undefined) => {
    const known = addresses.filter((address) => address !== undefined && address !== "");
    return {
      shown: known.map((address) => `${String(address)}:${String(number)}`).join(" "),
      urls: known.map((address) => `http://${String(address)}:${String(number)}/`),
    };
  };
  switch (service.spec.type) {
    case "NodePort": {
      const { items } = await client.list(nodeKind);
      const internal = items.flatMap((node) => node.status?.addresses ?? []);
      return at(
        internal.filter(({ type }) => type === "InternalIP").map(({ address }) => address),
        port?.nodePort,
      );
    }
    case "LoadBalancer":
      return at(
        (service.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip),
        port?.port,
      );
    case "ExternalName":
      return { ...at(resolved, port?.port), shown: service.spec.externalName ?? "" };
    case "ClusterIP":
    case undefined:
      return service.spec.clusterIP === "None"
        ? { ...at(resolved, port?.port), shown: "None" }
        : at([service.spec.clusterIP], port?.port);
  }
}

type PodAnswer =
  | { readonly kind: "pod"; readonly pod: string }
  | { readonly kind: "refused"; readonly reason: string };

/** One request on a connection of its own, so that each is balanced anew. */
function askPod(url: string): Promise<PodAnswer> {
  return new Promise((resolve) => {
    const refuse = (reason: string): void => {
      resolve({ kind: "refused", reason: `${url}: ${reason}` });
    };
    const request = get(url, { agent: false, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => {
        const pod = /"pod":"([^"]+)"/.exec(body)?.[1];
        if (pod === undefined)
          refuse(`answered ${String(response.statusCode)} without a Pod's name`);
        else resolve({ kind: "pod", pod });
      });
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", (error) => {
      refuse(error.message);
    });
  });
}
