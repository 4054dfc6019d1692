import { refOf } from "../../api/machinery/object-key.ts";
import { ipFamilyOf } from "../../net/address.ts";
import { answer } from "./answer.ts";
import type { Query } from "./decode.ts";
import type { DnsIndex } from "./dns-index.ts";
import { isShortEnough, sameName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { encodeMessage } from "./encode.ts";
import { CLASS_IN, EDNS_UDP_BYTES, RCODE, TCP_BYTES, TYPE } from "./message.ts";
import type { Message, ResourceRecord } from "./message.ts";
import type { ZoneOptions } from "./records.ts";
import type { ServiceView } from "./views.ts";

/** Records a message: as many fit whose names, owner and target, have all bytes that names may have. */
const RECORDS_A_MESSAGE = 120;

/**
 * The zone whole, for whoever may have it (RFC 5936): SOA, NS and its addresses, the Services by name with their
 * endpoints, SOA. To IXFR it gives the SOA alone when the asker has it already (RFC 1995 section 2), else all.
 * The bytes are a snapshot: later changes of the index are not in it.
 *
 * @param knownSerial of the asker's zone, in an IXFR.
 * @returns undefined when the question's name is not the top of a zone of the cluster.
 */
export function zoneTransfer(
  query: Query,
  index: DnsIndex,
  options: ZoneOptions,
  knownSerial: number | undefined,
): readonly Uint8Array[] | undefined {
  const { name } = query.question;
  if (!options.zones.some((zone) => sameName(zone, name))) return undefined;
  const lookup = (owner: DomainName, type: number): readonly ResourceRecord[] => {
    const decision = answer(
      { name: owner, type, class: CLASS_IN },
      index,
      { ...options, autopath: undefined, fallthrough: [] },
      0,
      Number.MAX_SAFE_INTEGER,
    );
    // An ExternalName's own record is the first; where it leads is another zone's matter, or another record.
    return decision.kind === "answer"
      ? decision.answers.filter((record) => sameName(record.name, owner))
      : decision.kind === "chase"
        ? decision.answers.slice(0, 1)
        : [];
  };
  const soa = lookup(name, TYPE.SOA);
  const serial = soa[0]?.data.kind === "SOA" ? soa[0].data.serial : 0;
  if (query.question.type === TYPE.IXFR && knownSerial === serial) {
    return [encodeMessage(messageOf(query, soa), TCP_BYTES)];
  }
  const server = ["ns", "dns", ...name];
  const records = [
    ...soa,
    ...lookup(name, TYPE.NS),
    ...lookup(server, TYPE.A),
    ...lookup(server, TYPE.AAAA),
    ...lookup(["dns-version", ...name], TYPE.TXT),
    ...[...index.services()]
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
      .flatMap((service) => serviceRecordsOf(service, name, index, options.ttlSeconds, lookup)),
    ...soa,
  ];
  const messages: Uint8Array[] = [];
  for (let i = 0; i < records.length; i += RECORDS_A_MESSAGE) {
    const part = messageOf(query, records.slice(i, i + RECORDS_A_MESSAGE));
    messages.push(encodeMessage(part, TCP_BYTES));
  }
  return messages;
}

function serviceRecordsOf(
  service: ServiceView,
  zone: DomainName,
  index: DnsIndex,
  ttlSeconds: number,
  lookup: (owner: DomainName, type: number) => readonly ResourceRecord[],
): readonly ResourceRecord[] {
  const ref = refOf(service.key);
  const owner = [ref.name, ref.namespace ?? "", "svc", ...zone];
  if (service.kind === "externalName") return lookup(owner, TYPE.CNAME);
  const endpoints = index.endpoints(service.key);
  const ports = service.kind === "headless" ? [...endpoints.portLists()].flat() : service.ports;
  const portNames = new Set(
    ports.flatMap((port) =>
      port.name === "" ? [] : [`_${port.name.toLowerCase()} _${port.protocol}`],
    ),
  );
  return [
    ...lookup(owner, TYPE.A),
    ...lookup(owner, TYPE.AAAA),
    ...lookup(owner, TYPE.SRV),
    ...[...portNames].flatMap((text) => lookup([...text.split(" "), ...owner], TYPE.SRV)),
    ...(service.kind === "headless" ? endpoints.labels : []).flatMap((label) => {
      const name = [...label.name.split("."), ...owner];
      const addresses = new Set(label.members.map(({ address }) => address));
      return (isShortEnough(name) ? [...addresses] : []).map(
        (address): ResourceRecord => ({
          name,
          ttlSeconds,
          data: { kind: ipFamilyOf(address) === "IPv4" ? "A" : "AAAA", address },
        }),
      );
    }),
  ];
}

function messageOf(query: Query, answers: readonly ResourceRecord[]): Message {
  return {
    id: query.id,
    isResponse: true,
    opcode: 0,
    authoritative: true,
    truncated: false,
    recursionDesired: query.recursionDesired,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: query.checkingDisabled,
    rcode: RCODE.NOERROR,
    question: query.question,
    answers,
    authority: [],
    additional: [],
    // RFC 5936 section 2.2.5: whoever uses EDNS is answered with it, here in each message.
    edns: query.edns && {
      udpBytes: EDNS_UDP_BYTES,
      dnssecOk: query.edns.dnssecOk,
      version: 0,
    },
  };
}
