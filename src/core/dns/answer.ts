import { refOf } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import { lookupClusterName } from "./cluster-name.ts";
import type { NameContent } from "./cluster-name.ts";
import type { DnsIndex } from "./dns-index.ts";
import { foldName, isWithin } from "./domain-name.ts";
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
import { parseReverseName } from "./reverse-name.ts";
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
  /** Not a name of ours: somebody else has to be asked. */
  | { readonly kind: "forward" }
  | { readonly kind: "servfail"; readonly reason: string };

/** How many ExternalName Services may point to one another; CoreDNS's limit. */
const MAX_ALIASES = 10;
/** Of the Kubernetes DNS specification (DNS-015). */
const SPECIFICATION_VERSION = "1.1.0";
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
  // Zone transfers go to nobody (DNS-021), and only the Internet's class is served.
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
  if (isWithin(folded, asked.options.clusterDomain)) {
    return answerInZone(asked, name, folded, aliases);
  }
  if (folded.at(-1) === "localhost") return answerLocalhost(asked, name);
  const address = parseReverseName(folded);
  return address === undefined ? { kind: "forward" } : answerReverse(asked, name, address);
}

function answerInZone(
  asked: Asked,
  name: DomainName,
  folded: DomainName,
  aliases: number,
): Decision {
  if (asked.index === undefined) return NOT_SYNCED;
  const labels = folded.slice(0, folded.length - asked.options.clusterDomain.length);
  const zone = name.slice(labels.length);
  const content = lookupClusterName(labels, asked.index, asked.options);
  if (content.kind === "missing") return negative(asked, RCODE.NXDOMAIN, zone, content.reason);
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
      const strings = [SPECIFICATION_VERSION];
      return asked.type === TYPE.TXT
        ? positive([recordOf(asked, name, { kind: "TXT", strings })])
        : undefined;
    }
    case "hosts": {
      if (asked.type === TYPE.SRV) {
        const ports = content.ports();
        return ports.length > 0 ? serviceRecords(asked, name, zone, ports) : undefined;
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
  const rest = answerName(asked, target, aliases + 1);
  switch (rest.kind) {
    case "answer":
    case "chase":
      return { ...rest, answers: [cname, ...rest.answers] };
    case "forward":
      return { kind: "chase", answers: [cname], target };
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

/** Cluster IPs first, then endpoints (DNS-003, DNS-010); what is not known is not ours (DNS-030). */
function answerReverse(asked: Asked, name: DomainName, address: IpAddress): Decision {
  const { index, options } = asked;
  if (index === undefined) {
    const isOurs = options.reverseCidrs.some((cidr) => cidrContains(cidr, address));
    return isOurs ? NOT_SYNCED : { kind: "forward" };
  }
  const nameOf = (service: ObjectKey): DomainName => {
    const ref = refOf(service);
    return [ref.name, ref.namespace ?? "", "svc", ...options.clusterDomain];
  };
  const service = index.serviceAt(address);
  const targets =
    service === undefined
      ? index.endpointsAt(address).map((found) => [found.name, ...nameOf(found.service)])
      : [nameOf(service.key)];
  if (targets.length === 0) return { kind: "forward" };
  if (asked.type === TYPE.ANY) return minimalAny(asked, name);
  if (asked.type !== TYPE.PTR) {
    return negative(asked, RCODE.NOERROR, name.slice(-2), "an address's name has only PTR");
  }
  return positive(targets.map((target) => recordOf(asked, name, { kind: "PTR", target })));
}

const NOT_SYNCED: Decision = { kind: "servfail", reason: "the cluster is not known yet" };
