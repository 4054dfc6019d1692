import { formatDomainName } from "./domain-name.ts";
import type { RecordData, ResourceRecord } from "./message.ts";
import { formatType } from "./record-type.ts";

/** A record as a line of a zone file: `web.default.svc.cluster.local. 5 IN A 127.96.0.10`. */
export function formatRecord(record: ResourceRecord): string {
  const { kind } = record.data;
  const type = kind === "other" ? formatType(record.data.type) : kind;
  const ttl = String(record.ttlSeconds);
  return `${formatDomainName(record.name)} ${ttl} IN ${type} ${formatData(record.data)}`;
}

function formatData(data: RecordData): string {
  switch (data.kind) {
    case "A":
    case "AAAA":
      return data.address;
    case "CNAME":
    case "NS":
    case "PTR":
      return formatDomainName(data.target);
    case "SRV":
      return [data.priority, data.weight, data.port, formatDomainName(data.target)].join(" ");
    case "TXT":
      return data.strings.map(quoted).join(" ");
    case "SOA":
      return [
        formatDomainName(data.mname),
        formatDomainName(data.rname),
        data.serial,
        data.refreshSeconds,
        data.retrySeconds,
        data.expireSeconds,
        data.minimumSeconds,
      ].join(" ");
    case "other":
      return data.parts
        .map((part) => (part instanceof Uint8Array ? hex(part) : formatDomainName(part)))
        .join(" ");
  }
}

function quoted(text: string): string {
  const escaped = text
    .replace(/["\\]/g, "\\$&")
    .replace(/[^ -~]/g, (byte) => `\\${String(byte.charCodeAt(0)).padStart(3, "0")}`);
  return `"${escaped}"`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
