import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { a, domain, ip } from "../../test/dns/fake-upstream.ts";
import { indexOf, service, slice, zoneOptions } from "../../test/dns/zone.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import type { Query } from "../core/dns/decode.ts";
import { formatDomainName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { CLASS_IN, RCODE, TCP_BYTES, TYPE } from "../core/dns/message.ts";
import type { Message, ResourceRecord } from "../core/dns/message.ts";
import type { Forwarder } from "./forwarder.ts";
import { answerInBlock } from "./server-block.ts";
import type { ServerBlock, Step } from "./server-block.ts";

const nobody = { address: undefined, port: 0, protocol: "udp" } as const;

const clusterIp = { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] };
const INDEX = indexOf(
  [
    service("web", clusterIp),
    service("web", { clusterIP: "10.96.0.11", clusterIPs: ["10.96.0.11", "fd00::11"] }, "other"),
    // Names that others have as well.
    service("com", clusterIp, "example"),
    service("db", { clusterIP: "None", clusterIPs: ["None"] }),
    service("outside", { type: "ExternalName", externalName: "www.example.com" }),
    service("nowhere", { type: "ExternalName", externalName: "gone.example.com" }),
    service("inside", { type: "ExternalName", externalName: "web.other.svc.cluster.local" }),
  ],
  [slice("db", [{ addresses: ["10.112.0.5"], hostname: "h0" }])],
  ["default", "other", "example"],
);

/** What the rest of the world says of a name: addresses of both families, of one, none, or that there is none. */
type World = ReadonlyMap<string, readonly ResourceRecord[]>;

function forwarderOf(world: World): Forwarder {
  const blank = decodeMessage(Uint8Array.from({ length: 12 }, (_, i) => (i === 2 ? 0x80 : 0)));
  assert.ok(blank);
  return {
    resolve: ({ name, type }) => {
      const records = world.get(formatDomainName(name).toLowerCase());
      const wanted = type === TYPE.A ? "A" : "AAAA";
      const message: Message = {
        ...blank,
        rcode: records === undefined ? RCODE.NXDOMAIN : RCODE.NOERROR,
        answers: (records ?? []).filter(({ data }) => data.kind === wanted),
      };
      return Promise.resolve({ kind: "answer", message });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function blockOf(world: World, search: readonly DomainName[], hasAutopath: boolean): ServerBlock {
  const autopath = hasAutopath ? { search } : undefined;
  return {
    zones: [[]],
    cluster: { index: () => INDEX, zone: { ...zoneOptions, autopath } },
    forwards: [{ from: [], except: [], forwarder: forwarderOf(world) }],
  };
}

async function ask(block: ServerBlock, name: DomainName, type: number): Promise<Step> {
  const query: Query = {
    id: 1,
    question: { name, type, class: CLASS_IN },
    recursionDesired: true,
    authenticData: false,
    checkingDisabled: false,
    edns: undefined,
  };
  return answerInBlock(block, query, { rotation: 0, maxBytes: TCP_BYTES, asker: nobody });
}

interface Found {
  /** Addresses of both families. */
  readonly addresses: readonly string[];
  /** How many names were asked for. */
  readonly names: number;
}

/**
 * As a Pod's resolver goes through its search list with `ndots:5`, for both families: on to the next name until
 * one has an address, or an alias of it does.
 */
async function walk(
  block: ServerBlock,
  base: DomainName,
  search: readonly DomainName[],
): Promise<Found> {
  let names = 0;
  for (const domainName of [...search, []]) {
    const name = [...base, ...domainName];
    // A name without a dot is nobody's in the world.
    if (name.length === 1) continue;
    names += 1;
    const steps = [await ask(block, name, TYPE.A), await ask(block, name, TYPE.AAAA)];
    const [four, six] = steps.map((step) => step.rcode === RCODE.NXDOMAIN);
    const aliases = steps.map(({ answers = [] }) =>
      answers.flatMap(({ data }) => (data.kind === "CNAME" ? [formatDomainName(data.target)] : [])),
    );
    assert.deepEqual(aliases[0], aliases[1], "A and AAAA have the same aliases");
    assert.equal(four, six, `A and AAAA agree on whether ${name.join(".")} exists`);
    const addresses = steps
      .flatMap(({ answers = [] }) => answers)
      .flatMap(({ data }) => ("address" in data ? [String(data.address)] : []));
    if (addresses.length > 0) return { addresses, names };
  }
  return { addresses: [], names };
}

const LABELS = ["web", "db", "outside", "nowhere", "inside", "h0", "www", "example", "com"];
const PARTS = [...LABELS, "default", "other", "svc", "cluster", "local", "_tcp", "gone"];
const base = fc.array(fc.constantFrom(...PARTS), { minLength: 1, maxLength: 4 });
const hostSearch = fc.uniqueArray(fc.constantFrom("corp.example", "example.com", "lan"), {
  maxLength: 2,
});
const outsideName = fc
  .array(fc.constantFrom("www", "web", "db", "example", "com", "corp", "lan", "gone"), {
    minLength: 2,
    maxLength: 4,
  })
  .map((labels) => labels.join("."));
/** Some of the names that exist out there, each with addresses of one family or of both. */
const anyWorld = fc
  .array(fc.tuple(outsideName, fc.constantFrom("4", "6", "46")), { maxLength: 12 })
  .map((entries): World => {
    return new Map(
      [["www.example.com", "4"] as const, ...entries].map(([name, families]) => [
        `${name}.`,
        [
          ...(families.includes("4") ? [a(name, "192.0.2.7")] : []),
          ...(families.includes("6") ? [aaaa(name)] : []),
        ],
      ]),
    );
  });

function aaaa(name: string): ResourceRecord {
  return { name: domain(name), ttlSeconds: 60, data: { kind: "AAAA", address: ip("2001:db8::7") } };
}

function isPartialName(labels: DomainName): boolean {
  const end = labels.join(".").replace(/\.svc(?:\.cluster\.local)?$/, "");
  return ["default", "other", "example"].includes(end.split(".").at(-1) ?? "");
}

describe("autopath", () => {
  it("gives whoever goes through a search list what it would have found, in one answer", async () => {
    let completed = 0;
    await fc.assert(
      fc.asyncProperty(
        base,
        fc.constantFrom("default", "other", "example", "unknown"),
        hostSearch,
        anyWorld,
        async (labels, namespace, hosts, world) => {
          const host = hosts.map(domain);
          const zone = ["cluster", "local"];
          const search = [[namespace, "svc", ...zone], ["svc", ...zone], zone, ...host];
          const plain = await walk(blockOf(world, host, false), labels, search);
          const helped = await walk(blockOf(world, host, true), labels, search);
          // A partial name of a Service (`x.default`) that does not exist is, a step later, the first step for `x`.
          if (plain.addresses.length > 0 || !isPartialName(labels)) {
            assert.deepEqual(helped.addresses, plain.addresses);
          }
          assert.ok(helped.names <= plain.names);
          // What is below a Service of the namespace, or of no namespace, is not completed.
          const isBelow =
            INDEX.service(objectKey({ namespace, name: labels.at(-1) ?? "" })) !== undefined;
          const isPort = labels.at(-1)?.startsWith("_") === true;
          if (plain.addresses.length > 0 && namespace !== "unknown" && !isBelow && !isPort) {
            assert.equal(helped.names, 1, "the first question was enough");
            if (plain.names > 1) completed += 1;
          }
        },
      ),
      { numRuns: 2000 },
    );
    assert.ok(completed > 5, `only ${String(completed)} were completed`);
  });
});
