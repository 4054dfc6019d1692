/** A Service or IPAddress, as far as allocation goes. */
export interface Allocated {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string };
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly healthCheckNodePort?: number;
    readonly ports?: readonly {
      readonly port: number;
      readonly protocol?: string;
      readonly nodePort?: number;
    }[];
    /** Of an IPAddress: whom it belongs to. */
    readonly parentRef?: { readonly namespace?: string; readonly name?: string };
  };
}

/**
 * What is wrong with the addresses and node ports that the API says are held; empty when nothing is.
 * @param addresses the IPAddress objects; undefined where the kind is not served.
 */
export function allocationProblems(
  services: readonly Allocated[],
  addresses: readonly Allocated[] | undefined,
): readonly string[] {
  const problems: string[] = [];
  const holders = new Map<string, string>();
  const hold = (what: string, who: string) => {
    const other = holders.get(what);
    if (other !== undefined && other !== who) problems.push(`${what}: ${other} and ${who}`);
    else holders.set(what, who);
  };
  for (const service of services) {
    const name = nameOf(service);
    const { spec = {} } = service;
    problems.push(...missingParts(service).map((what) => `${name}: no ${what}`));
    for (const ip of spec.clusterIPs ?? []) if (ip !== "None") hold(`address ${ip}`, name);
    for (const { nodePort = 0, protocol = "TCP" } of spec.ports ?? []) {
      if (nodePort > 0) hold(`node port ${String(nodePort)}/${protocol}`, name);
    }
    if ((spec.healthCheckNodePort ?? 0) > 0) {
      hold(`node port ${String(spec.healthCheckNodePort)}/TCP`, name);
    }
  }
  if (addresses !== undefined) problems.push(...addressProblems(holders, addresses));
  return problems;
}

/** What a Service must have once it is written; a half written one lacks some of it. */
function missingParts({ spec = {} }: Allocated): readonly string[] {
  const { type, clusterIP, clusterIPs = [], ports = [] } = spec;
  if (type === "ExternalName") return [];
  const needsNodePorts = type === "NodePort" || type === "LoadBalancer";
  return [
    ...((clusterIP ?? "") === "" || clusterIPs[0] !== clusterIP ? ["clusterIP"] : []),
    ...(ports.length === 0 ? ["ports"] : []),
    ...(needsNodePorts && ports.some(({ nodePort = 0 }) => nodePort === 0) ? ["nodePort"] : []),
  ];
}

/** Each held address has its IPAddress and each IPAddress its Service. */
function addressProblems(
  holders: ReadonlyMap<string, string>,
  addresses: readonly Allocated[],
): readonly string[] {
  const problems: string[] = [];
  const known = new Set<string>();
  for (const { metadata, spec } of addresses) {
    known.add(`address ${metadata.name}`);
    const { namespace = "", name = "" } = spec?.parentRef ?? {};
    const holder = holders.get(`address ${metadata.name}`);
    if (holder !== `${namespace}/${name}`) {
      problems.push(
        `IPAddress ${metadata.name} is of ${namespace}/${name}, held by ${holder ?? "nobody"}`,
      );
    }
  }
  for (const [what, who] of holders) {
    if (what.startsWith("address ") && !known.has(what)) {
      problems.push(`${what} of ${who} has no IPAddress`);
    }
  }
  return problems;
}

function nameOf({ metadata }: Allocated): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
