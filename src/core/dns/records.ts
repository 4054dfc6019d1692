import { ipFamilyOf } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import { windowOf } from "./cluster-name.ts";
import type { NameRules, PortTarget, PortTargets, Window } from "./cluster-name.ts";
import type { DnsIndex } from "./dns-index.ts";
import { MAX_NAME_BYTES, isShortEnough, wireLength } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { RCODE, TYPE } from "./message.ts";
import type { RecordData, ResourceRecord } from "./message.ts";
import { allOf } from "./views.ts";
import type { Addresses } from "./views.ts";

export interface ZoneOptions extends NameRules {
  /** Folded, e.g. `["cluster", "local"]`; all have the same names below them. PTR records give the first. */
  readonly zones: readonly DomainName[];
  /** Zones below in-addr.arpa and ip6.arpa, or these two, folded. */
  readonly reverseZones: readonly DomainName[];
  /**
   * Names in these zones that do not exist are somebody else's to answer (CoreDNS `fallthrough`); the empty
   * name stands for all. With CoreDNS's usual configuration these are the reverse zones (DNS-030).
   */
  readonly fallthrough: readonly DomainName[];
  /**
   * Ranges of Services and Pods, when they are known: of the reverse zones, only their names wait for the
   * first sync.
   */
  readonly reverseCidrs: readonly Cidr[] | undefined;
  /**
   * Whether search lists are gone through here instead of in the client (`ndots:5`), and the domains that
   * Pods inherit from their host.
   */
  readonly autopath: { readonly search: readonly DomainName[] } | undefined;
  /** Of every record; also how long a negative answer may be kept. CoreDNS's default is 5 (DNS-022). */
  readonly ttlSeconds: number;
  /** Serial number of the zone before the index's first change. */
  readonly firstSerial: number;
}

/** What every step from a question to its answer is told. */
export interface Asked {
  readonly type: number;
  /** Undefined as long as the cluster is not known. */
  readonly index: DnsIndex | undefined;
  readonly options: ZoneOptions;
  readonly rotation: number;
  /** More records of a section than this cannot fit into the message, and are not made. */
  readonly maxRecords: number;
}

export interface Answer {
  readonly kind: "answer";
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
  /** Why, in words, when the answer has no records. */
  readonly reason?: string;
}

export function positive(
  answers: readonly ResourceRecord[],
  additional: readonly ResourceRecord[] = [],
): Answer {
  return {
    kind: "answer",
    rcode: RCODE.NOERROR,
    authoritative: true,
    answers,
    authority: [],
    additional,
  };
}

/** NXDOMAIN or NODATA, with the SOA that says how long to remember it (RFC 2308). */
export function negative(asked: Asked, rcode: number, zone: DomainName, reason: string): Answer {
  return {
    kind: "answer",
    rcode,
    authoritative: true,
    answers: [],
    authority: [soaRecord(asked, zone)],
    additional: [],
    reason,
  };
}

/** What the answer to ANY is: not all there is (RFC 8482 section 4.2). */
export function minimalAny(asked: Asked, name: DomainName): Answer {
  const parts = [Uint8Array.of(7, 0x52, 0x46, 0x43, 0x38, 0x34, 0x38, 0x32, 0)];
  return positive([recordOf(asked, name, { kind: "other", type: TYPE.HINFO, parts })]);
}

/** A or AAAA records, when those are asked for; one after the other comes first (DNS-033). */
export function addressRecords(
  asked: Asked,
  name: DomainName,
  addresses: Addresses,
): readonly ResourceRecord[] {
  if (asked.type !== TYPE.A && asked.type !== TYPE.AAAA) return [];
  const matching = addresses[asked.type === TYPE.A ? "IPv4" : "IPv6"];
  return windowOf(matching, turnOf(asked)).map((address) => addressRecord(asked, name, address));
}

/**
 * SRV records of a Service's name or one below it, and the addresses of their targets beside them.
 * @returns undefined when there are none.
 */
export function serviceRecords(
  asked: Asked,
  name: DomainName,
  zone: DomainName,
  portsOf: (window: Window) => PortTargets,
): Answer | undefined {
  const { rotation, maxRecords } = asked;
  // Targets repeat the question's letters, small or capital, as CoreDNS does for the zone.
  const serviceName = name.slice(name.length - zone.length - 3);
  const length = wireLength(serviceName);
  // Sixteen bytes a record was least, but each of these has its target in full: no more than the first too many.
  const most = Math.floor((16 * maxRecords) / (18 + length)) + 1;
  // Labels of full length below a long zone are no name any more: then some are left out.
  const isRoomy = length + MAX_ENDPOINT_BYTES <= MAX_NAME_BYTES;
  const { targets, total } = portsOf({ rotation, max: isRoomy ? most : Math.max(100, maxRecords) });
  const named = targets
    .map((target) => ({ target, owner: targetName(target, serviceName) }))
    .filter(({ owner }) => isRoomy || isShortEnough(owner))
    .slice(0, most);
  if (named.length === 0) return undefined;
  // How to weigh them is not specified (DNS-026): all share 100, as in CoreDNS.
  const weight = Math.max(1, Math.floor(100 / total));
  const answers = named.map(({ target: { port }, owner }) =>
    recordOf(asked, name, { kind: "SRV", priority: 0, weight, port, target: owner }),
  );
  const hosts = new Map(named.map((each) => [each.target.endpoint, each]));
  const additional = [...hosts.values()].flatMap(({ target, owner }) =>
    allOf(target.addresses).map((address) => addressRecord(asked, owner, address)),
  );
  return positive(answers, additional);
}

/** Two labels: what stands before a Service's name, in a clusterset. */
const MAX_ENDPOINT_BYTES = 2 * 64;

function targetName({ endpoint }: PortTarget, serviceName: DomainName): DomainName {
  if (endpoint === undefined) return serviceName;
  return endpoint.includes(".")
    ? [...endpoint.split("."), ...serviceName]
    : [endpoint, ...serviceName];
}

export function nameServerRecords(asked: Asked, zone: DomainName): Answer {
  const target = ["ns", "dns", ...zone];
  return positive(
    [recordOf(asked, zone, { kind: "NS", target })],
    asked.options.serverAddresses.map((address) => addressRecord(asked, target, address)),
  );
}

/** DNS-021. The serial number grows with each change of the index. */
export function soaRecord(asked: Asked, zone: DomainName): ResourceRecord {
  return recordOf(asked, zone, {
    kind: "SOA",
    mname: ["ns", "dns", ...zone],
    rname: ["hostmaster", ...zone],
    serial: (asked.options.firstSerial + (asked.index?.changes ?? 0)) >>> 0,
    refreshSeconds: 7200,
    retrySeconds: 1800,
    expireSeconds: 86_400,
    minimumSeconds: asked.options.ttlSeconds,
  });
}

export function recordOf(asked: Asked, name: DomainName, data: RecordData): ResourceRecord {
  return { name, ttlSeconds: asked.options.ttlSeconds, data };
}

function addressRecord(asked: Asked, name: DomainName, address: IpAddress): ResourceRecord {
  const kind = ipFamilyOf(address) === "IPv4" ? "A" : "AAAA";
  return recordOf(asked, name, { kind, address });
}

function turnOf({ rotation, maxRecords }: Asked): Window {
  return { rotation, max: maxRecords };
}
