import { formatHostPort } from "../net/host-port.ts";
import { parseIpAddress } from "../net/address.ts";
import type { Service } from "../api/v1/service.ts";

/**
 * The variables by which a Pod in `namespace` finds the Services that exist now (ENV-001..006). Service
 * names with a leading digit keep it (ENV-004): legal in an environment, only shells cannot name it.
 * The Service `kubernetes` of `default` is always there, unless the Pod's namespace has one of that name.
 */
export function serviceEnvironment(
  services: readonly Service[],
  namespace: string,
  enableServiceLinks: boolean,
): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  const chosen = new Map<string, Service>();
  for (const service of services) {
    const isOwn = service.metadata.namespace === namespace && enableServiceLinks;
    const isMaster =
      service.metadata.namespace === "default" && service.metadata.name === "kubernetes";
    if (isOwn || (isMaster && !chosen.has(service.metadata.name)))
      chosen.set(service.metadata.name, service);
  }
  // Sorted, for two names may give one variable (`a-b`, `a.b`): then the same one wins each time.
  for (const name of [...chosen.keys()].sort()) {
    const service = chosen.get(name);
    if (service !== undefined) Object.assign(variables, variablesOf(service));
  }
  return variables;
}

function variablesOf(service: Service): Record<string, string> {
  const address = parseIpAddress(service.spec.clusterIP ?? "");
  const ports = service.spec.ports ?? [];
  const [first] = ports;
  // ENV-005: headless ("None") and ExternalName ("") give none.
  if (address === undefined || first === undefined || service.spec.type === "ExternalName")
    return {};
  const prefix = variableName(service.metadata.name);
  const variables: Record<string, string> = {
    [`${prefix}_SERVICE_HOST`]: address,
    [`${prefix}_SERVICE_PORT`]: String(first.port),
  };
  for (const port of ports) {
    if (port.name !== undefined && port.name !== "")
      variables[`${prefix}_SERVICE_PORT_${variableName(port.name)}`] = String(port.port);
  }
  for (const port of ports) {
    const protocol = port.protocol ?? "TCP";
    // ENV-008: bracketed in the URL form only.
    const url = `${protocol.toLowerCase()}://${formatHostPort(address, port.port)}`;
    const link = `${prefix}_PORT_${String(port.port)}_${protocol.toUpperCase()}`;
    if (port === first) variables[`${prefix}_PORT`] = url;
    variables[link] = url;
    variables[`${link}_PROTO`] = protocol.toLowerCase();
    variables[`${link}_PORT`] = String(port.port);
    variables[`${link}_ADDR`] = address;
  }
  return variables;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll("-", "_");
}
