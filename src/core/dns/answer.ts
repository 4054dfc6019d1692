import { refOf } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import { lookupClusterName } from "./cluster-name.ts";
import type { NameContent } from "./cluster-name.ts";
import type { DnsIndex } from "./dns-index.ts";
import { foldName, isShortEnough, isWithin } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { CLASS_IN, RCODE, TYPE } from "./message.ts";
import type { Question, ResourceRecord } from "./message.ts";
import {
  addressRecords,
  minimalAny,
  nameServerRecords,
  negative,
  positive,
  recordOf,
  serviceRecords,
  soaRecord,
} from "./records.ts";
import type { Answer, Asked, ZoneOptions } from "./records.ts";
import { readCompletedName } from "./search-path.ts";
import { isPartOfAddress, parseReverseName } from "./reverse-name.ts";
import { byFamily } from "./views.ts";

export type Decision =
  | Answer
  /**
   * The answer begins with these CNAMEs; whoever can resolve names outside the cluster appends what `target`
   * has. If that fails the CNAMEs still belong into the answer, with the target's code.
   */
  | {
      readonly kind: "chase";
      readonly answers: readonly ResourceRecord[];
      readonly target: DomainName;
    }
  /**
   * The name does not exist, but a resolver that goes through a Pod's search list would ask for these next:
   * the first that exists, whatever records it has, is the answer, behind a CNAME. `otherwise` if none does.
   */
  | {
      readonly kind: "search";
      readonly candidates: readonly DomainName[];
      readonly otherwise: Answer;
    }
  /** Not a name of ours: somebody else has to be asked. */
  | { readonly kind: "forward" }
  | { readonly kind: "servfail"; readonly reason: string };

/** How many ExternalName Services may point to one another; CoreDNS's limit. */
const MAX_ALIASES = 10;
/** Of the Kubernetes DNS specification (DNS-015). */
const SPECIFICATION_VERSION = "1.1.0";
/** Of the specification of a clusterset's names (KEP-1645). */
const CLUSTERSET_SPECIFICATION_VERSION = "1.0.0";
const LOCALHOST = byFamily(["127.0.0.1", "::1"].flatMap((text) => parseIpAddress(text) ?? []));

/**
 * Decides what the answer to a question is. `index` is undefined as long as the cluster is not known: its
 * names then get SERVFAIL, never NXDOMAIN, for an empty cache is not an empty cluster (DNS-028).
 * `rotation`, any whole number from 0, says which of several addresses comes first (DNS-033). `maxBytes`
 * bounds the message that the answer is for: of records that could not fit, only enough are made for whoever
 * encodes it to see that some are missing, so that a large Service costs no more than the message.
 */
export function answer(
  question: Question,
  index: DnsIndex | undefined,
  options: ZoneOptions,
  rotation: number,
  maxBytes: number,
): Decision {
  // Who may have a zone whole is decided by who sees who asks (DNS-021); only the Internet's class is served.
  const isTransfer = question.type === TYPE.AXFR || question.type === TYPE.IXFR;
  if (question.class !== CLASS_IN || isTransfer) {
    const reason = "neither zone transfers nor classes other than IN are served";
    return { ...positive([]), rcode: RCODE.REFUSED, authoritative: false, reason };
  }
  // No record is shorter: a pointer to its owner, ten fixed bytes, four of data.
  const maxRecords = Math.floor(maxBytes / 16) + 1;
  return answerName(
    { type: question.type, index, options, rotation, maxRecords },
    question.name,
    0,
  );
}

function answerName(asked: Asked, name: DomainName, aliases: number): Decision {
  const folded = foldName(name);
  const zone = zoneOf(folded, asked.options.zones);
  if (zone !== undefined) return answerInZone(asked, name, folded, zone, aliases);
  if (folded.at(-1) === "localhost") return answerLocalhost(asked, name);
  const reverse = zoneOf(folded, asked.options.reverseZones);
  return reverse === undefined ? { kind: "forward" } : answerReverse(asked, name, folded, reverse);
}

/** The longest of the zones that the name is in. Both folded. */
export function zoneOf(name: DomainName, zones: readonly DomainName[]): DomainName | undefined {
  let found: DomainName | undefined;
  for (const zone of zones) {
    if (isWithin(name, zone) && zone.length >= (found?.length ?? 0)) found = zone;
  }
  return found;
}

function answerInZone(
  asked: Asked,
  name: DomainName,
  folded: DomainName,
  zoneFolded: DomainName,
  aliases: number,
): Decision {
  if (asked.index === undefined) return NOT_SYNCED;
  const labels = folded.slice(0, folded.length - zoneFolded.length);
  const zone = name.slice(labels.length);
  const content = lookupClusterName(labels, asked.index, asked.options);
  if (content.kind === "missing") {
    const completed =
      aliases === 0 ? answerCompleted(asked, name, labels, content.reason) : undefined;
    if (completed !== undefined) return completed;
    if (fallsThrough(asked, folded)) return { kind: "forward" };
    return negative(asked, RCODE.NXDOMAIN, zone, content.reason);
  }
  if (content.kind === "alias") return answerAlias(asked, name, zone, content.target, aliases);
  if (asked.type === TYPE.ANY) return minimalAny(asked, name);
  return (
    answerContent(asked, name, zone, content) ??
    negative(
      asked,
      RCODE.NOERROR,
      zone,
      content.kind === "empty" ? content.reason : "the name exists, but not with this type",
    )
  );
}

/**
 * The end of the search list that a name's completion began, in one answer: see {@link readCompletedName}.
 * Whether a candidate exists does not depend on the type asked for, so A and AAAA always have the same target.
 */
function answerCompleted(
  asked: Asked,
  name: DomainName,
  labels: DomainName,
  reason: string,
): Decision | undefined {
  const { index, options } = asked;
  if (options.autopath === undefined || index === undefined) return undefined;
  if (asked.type !== TYPE.A && asked.type !== TYPE.AAAA) return undefined;
  const completed = readCompletedName(labels, name, index, options.autopath.search);
  if (completed === undefined) return undefined;
  const unknown: DomainName[] = [];
  for (const candidate of completed.candidates) {
    const folded = foldName(candidate);
    const zone = zoneOf(folded, options.zones);
    if (zone === undefined) {
      unknown.push(candidate);
      continue;
    }
    const content = lookupClusterName(folded.slice(0, folded.length - zone.length), index, options);
    const isFound = content.kind === "hosts" || content.kind === "alias";
    // A complete name of the cluster that went through the list is found here whatever comes before it.
    if (isFound) return aliasTo(asked, name, candidate, 1);
  }
  if (unknown.length === 0) return undefined;
  const zone = name.slice(labels.length);
  const otherwise = negative(asked, RCODE.NXDOMAIN, zone, reason);
  return { kind: "search", candidates: unknown, otherwise };
}

function fallsThrough({ options }: Asked, folded: DomainName): boolean {
  return options.fallthrough.some((zone) => isWithin(folded, zone));
}

/** @returns undefined when there are no records of the type asked for. */
function answerContent(
  asked: Asked,
  name: DomainName,
  zone: DomainName,
  content: Exclude<NameContent, { kind: "alias" | "missing" }>,
): Answer | undefined {
  switch (content.kind) {
    case "empty":
      return undefined;
    case "apex":
      if (asked.type === TYPE.SOA) return positive([soaRecord(asked, zone)]);
      return asked.type === TYPE.NS ? nameServerRecords(asked, zone) : undefined;
    case "version": {
      const { isClusterset } = asked.options;
      const strings = [isClusterset ? CLUSTERSET_SPECIFICATION_VERSION : SPECIFICATION_VERSION];
      return asked.type === TYPE.TXT
        ? positive([recordOf(asked, name, { kind: "TXT", strings })])
        : undefined;
    }
    case "hosts": {
      if (asked.type === TYPE.SRV) {
        return serviceRecords(asked, name, zone, content.ports);
      }
      const records = addressRecords(asked, name, content.addresses());
      return records.length > 0 ? positive(records) : undefined;
    }
  }
}

/** ExternalName (DNS-011, DNS-038). It has no ports, so SRV gives nothing (DNS-013). */
function answerAlias(
  asked: Asked,
  name: DomainName,
  zone: DomainName,
  target: DomainName,
  aliases: number,
): Decision {
  if (asked.type === TYPE.SRV) {
    return negative(asked, RCODE.NOERROR, zone, "an ExternalName Service has no ports");
  }
  const cname = recordOf(asked, name, { kind: "CNAME", target });
  if (asked.type === TYPE.CNAME || asked.type === TYPE.ANY) return positive([cname]);
  if (aliases >= MAX_ALIASES) {
    return { kind: "servfail", reason: "too many ExternalName Services point to one another" };
  }
  return aliasTo(asked, name, target, aliases + 1);
}

/** A CNAME, and what is at its target. */
function aliasTo(asked: Asked, name: DomainName, target: DomainName, aliases: number): Decision {
  const cname = recordOf(asked, name, { kind: "CNAME", target });
  const rest = answerName(asked, target, aliases);
  switch (rest.kind) {
    case "answer":
    case "chase":
      return { ...rest, answers: [cname, ...rest.answers] };
    case "forward":
      return { kind: "chase", answers: [cname], target };
    case "search":
    case "servfail":
      return rest;
  }
}

/** A resolver answers these itself and asks nobody (RFC 6761 section 6.3). */
function answerLocalhost(asked: Asked, name: DomainName): Answer {
  const records = addressRecords(asked, name, LOCALHOST);
  return records.length > 0
    ? positive(records)
    : negative(asked, RCODE.NOERROR, name.slice(-1), "localhost has addresses only");
}

/**
 * Cluster IPs first, then endpoints (DNS-003, DNS-010). What is not known falls through to others where that
 * is set (DNS-030).
 */
function answerReverse(
  asked: Asked,
  name: DomainName,
  folded: DomainName,
  zoneFolded: DomainName,
): Decision {
  const { index, options } = asked;
  const zone = name.slice(folded.length - zoneFolded.length);
  const address = parseReverseName(folded);
  if (index === undefined) {
    const isOurs =
      options.reverseCidrs === undefined ||
      (address !== undefined && options.reverseCidrs.some((cidr) => cidrContains(cidr, address)));
    return isOurs || !fallsThrough(asked, folded) ? NOT_SYNCED : { kind: "forward" };
  }
  if (zone.length === name.length) {
    // The zone is ours, and so is its top, whatever falls through below it.
    return (
      answerContent(asked, name, zone, { kind: "apex" }) ??
      negative(asked, RCODE.NOERROR, zone, "the top of the zone has SOA and NS only")
    );
  }
  const targets = address === undefined ? [] : reverseTargets(address, index, options);
  if (targets.length === 0) {
    if (fallsThrough(asked, folded)) return { kind: "forward" };
    // A part of an address may have others below it, and must then not be denied (RFC 8020).
    return address === undefined && isPartOfAddress(folded)
      ? negative(asked, RCODE.NOERROR, zone, "the name is a part of an address")
      : negative(asked, RCODE.NXDOMAIN, zone, "nothing of the cluster has this address");
  }
  if (asked.type === TYPE.ANY) return minimalAny(asked, name);
  if (asked.type !== TYPE.PTR) {
    return negative(asked, RCODE.NOERROR, zone, "an address's name has only PTR");
  }
  return positive(targets.map((target) => recordOf(asked, name, { kind: "PTR", target })));
}

function reverseTargets(
  address: IpAddress,
  index: DnsIndex,
  { zones, isClusterset }: ZoneOptions,
): readonly DomainName[] {
  const nameOf = (service: ObjectKey): DomainName => {
    const ref = refOf(service);
    return [ref.name, ref.namespace ?? "", "svc", ...(zones[0] ?? [])];
  };
  const service = index.serviceAt(address);
  if (service !== undefined) return [nameOf(service.key)];
  return index
    .endpointsAt(address)
    .filter((found) => !isClusterset || index.service(found.service)?.kind === "headless")
    .map((found) => [...found.name.split("."), ...nameOf(found.service)])
    .filter(isShortEnough);
}

const NOT_SYNCED: Decision = { kind: "servfail", reason: "the cluster is not known yet" };
