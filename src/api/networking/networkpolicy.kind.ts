import { parseCidr } from "../../net/cidr.ts";
import { column, formatSelector } from "../apps/workload.columns.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { validateLabelSelector } from "../machinery/label-selector.validation.ts";
import { storedOnly } from "../machinery/stored-only.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { validateOneOfIfSet, validatePortNumberOrName } from "../machinery/value.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { networkPolicy } from "./networkpolicy.ts";
import type { NetworkPolicy } from "./networkpolicy.ts";

type Spec = NetworkPolicy["spec"];
type Port = NonNullable<NonNullable<Spec["ingress"]>[number]["ports"]>[number];
type Peer = NonNullable<NonNullable<Spec["ingress"]>[number]["from"]>[number];

const PROTOCOLS = ["SCTP", "TCP", "UDP"] as const;
const TYPES = ["Egress", "Ingress"] as const;

const withProtocol = (port: Port): Port => ({ ...port, protocol: port.protocol ?? "TCP" });

function defaults(object: NetworkPolicy): NetworkPolicy {
  const filled = withZeroValues(networkPolicy, object);
  const { spec } = filled;
  const ports = <R extends { readonly ports?: readonly Port[] | undefined }>(rule: R): R =>
    rule.ports === undefined ? rule : { ...rule, ports: rule.ports.map(withProtocol) };
  const hasTypes = spec.policyTypes !== undefined && spec.policyTypes.length > 0;
  const types = (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
  return {
    ...filled,
    spec: {
      ...spec,
      podSelector: spec.podSelector ?? {},
      ...(spec.ingress === undefined ? {} : { ingress: spec.ingress.map(ports) }),
      ...(spec.egress === undefined ? {} : { egress: spec.egress.map(ports) }),
      policyTypes: hasTypes ? spec.policyTypes : types,
    },
  };
}

/** Upstream `ValidateNetworkPolicyPort`. */
function validatePort({ protocol, port, endPort }: Port, path: string): readonly FieldError[] {
  const errors: FieldError[] = [
    ...validateOneOfIfSet(protocol, PROTOCOLS, `${path}.protocol`),
    ...(port === undefined ? [] : validatePortNumberOrName(port, `${path}.port`)),
  ];
  if (endPort === undefined) return errors;
  if (port === undefined) {
    return [
      ...errors,
      required(`${path}.endPort`, "must not be specified when `port` is not specified"),
    ];
  }
  if (typeof port === "string") {
    return [
      ...errors,
      forbidden(`${path}.endPort`, "may not be specified when `port` is non-numeric"),
    ];
  }
  return endPort < port
    ? [...errors, invalid(`${path}.endPort`, port, "must be greater than or equal to `port`")]
    : errors;
}

/** Upstream `ValidateNetworkPolicyPeer`. */
function validatePeer(peer: Peer, path: string): readonly FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const errors: FieldError[] = [
    ...(podSelector === undefined ? [] : validateLabelSelector(podSelector, `${path}.podSelector`)),
    ...(namespaceSelector === undefined
      ? []
      : validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`)),
    ...(ipBlock === undefined ? [] : validateBlock(ipBlock, `${path}.ipBlock`)),
  ];
  const hasSelector = podSelector !== undefined || namespaceSelector !== undefined;
  if (!hasSelector && ipBlock === undefined) return [required(path, "must specify a peer")];
  if (hasSelector && ipBlock !== undefined) {
    const text = "may not specify both ipBlock and another peer";
    return [...errors, forbidden(path, text)];
  }
  return errors;
}

function validateBlock(
  { cidr, except = [] }: NonNullable<Peer["ipBlock"]>,
  path: string,
): readonly FieldError[] {
  if (cidr === "") return [required(`${path}.cidr`)];
  const text = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  const named: readonly (readonly [string, string])[] = [
    [cidr, `${path}.cidr`],
    ...except.map((one, i): [string, string] => [one, `${path}.except[${String(i)}]`]),
  ];
  return named.flatMap(([one, at]) =>
    parseCidr(one) === undefined ? [invalid(at, one, text)] : [],
  );
}

function validate({ spec }: NetworkPolicy): readonly FieldError[] {
  const { podSelector = {}, ingress = [], egress = [], policyTypes = [] } = spec;
  const rules = [
    ...ingress.map(({ ports, from }, i) => ({
      ports,
      peers: from,
      at: `spec.ingress[${String(i)}]`,
      side: "from",
    })),
    ...egress.map(({ ports, to }, i) => ({
      ports,
      peers: to,
      at: `spec.egress[${String(i)}]`,
      side: "to",
    })),
  ];
  return [
    ...validateLabelSelector(podSelector, "spec.podSelector"),
    ...rules.flatMap(({ ports = [], peers = [], at, side }) => [
      ...ports.flatMap((port, i) => validatePort(port, `${at}.ports[${String(i)}]`)),
      ...peers.flatMap((peer, i) => validatePeer(peer, `${at}.${side}[${String(i)}]`)),
    ]),
    ...policyTypes.flatMap((type, i) =>
      TYPES.some((known) => known === type)
        ? []
        : [notSupported(`spec.policyTypes[${String(i)}]`, type, TYPES)],
    ),
  ];
}

export const networkPolicyKind: KindDefinition<NetworkPolicy> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  singular: "networkpolicy",
  shortNames: ["netpol"],
  categories: [],
  namespaced: true,
  schema: networkPolicy,
  columns: [
    NAME_COLUMN,
    column(
      "Pod-Selector",
      "Whose traffic.",
      ({ spec }) => formatSelector(spec.podSelector ?? {}) || "<none>",
      "string",
    ),
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    generation: "spec",
    defaults,
    validateCreate: validate,
    validateUpdate: validate,
    warnings: storedOnly("NetworkPolicies", "no traffic is refused"),
  },
};
