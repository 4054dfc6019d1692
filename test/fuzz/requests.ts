import { KINDS } from "../../src/api/kinds.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { REVIEWS } from "../../src/api/reviews.ts";
import { derivedOf } from "./derived.ts";
import { apiVersionOf } from "../../src/api/machinery/kind.ts";
import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import { sealEnvelope } from "../../src/api/machinery/protobuf-envelope.ts";
import type { ApiRequest } from "../../src/apiserver/exchange.ts";
import { sampleOf, wideSampleOf } from "./samples.ts";
import type { Random } from "./random.ts";
import { anyText, anyValue, mutated, mutatedBytes } from "./values.ts";

export interface FuzzRequest extends Omit<ApiRequest, "signal"> {
  /** Who shows a certificate; else nobody does. */
  readonly isAdmin: boolean;
}

/** The only namespace that requests name on purpose. */
export const FUZZ_NAMESPACE = "fuzz";
const NAMES = ["a", "b", "c", "d"] as const;
/** As the sample of a definition defines it. */
const CUSTOM_KIND: KindDefinition = {
  ...namespaceKind,
  group: "example.org",
  version: "v1",
  kind: "A",
  plural: "as",
  singular: "a",
  namespaced: true,
};

/** Where a kind takes no other names. */
const NAMES_OF: Readonly<Record<string, readonly string[]>> = {
  CustomResourceDefinition: ["as.example.org", "bs.example.org", "a"],
  IPAddress: ["10.96.77.7", "10.96.77.8", "10.96.077.7"],
};

/** What callers show or claim to be. */
const CLAIMS: readonly Readonly<Record<string, string>>[] = [
  { authorization: "Bearer x" },
  { authorization: "Bearer " },
  { authorization: "bearer eyJhbGciOiJub25lIn0.e30." },
  { authorization: `Bearer ${"eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ".repeat(3)}.e30.AAAA` },
  { authorization: `Bearer ${"a.".repeat(4000)}` },
  { authorization: "Bearer abcdef.0123456789abcdef" },
  { authorization: "Basic YTpi" },
  { authorization: "Bearer \u0000" },
  { "impersonate-user": "b" },
  { "impersonate-user": "" },
  { "impersonate-user": "system:serviceaccount:fuzz:a" },
  { "impersonate-user": "system:serviceaccount:::" },
  { "impersonate-user": "system:node:a", "impersonate-group": "system:nodes" },
  { "impersonate-group": "system:masters" },
  { "impersonate-user": "b", "impersonate-uid": "u", "impersonate-extra-%zz": "x" },
  { "impersonate-user": "b", "impersonate-extra-__proto__": "x" },
  { "impersonate-user": "b", "impersonate-extra-": "x", "impersonate-group": ",,," },
  { "impersonate-uid": "u" },
];

const METHODS = ["GET", "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD"] as const;
// No "proxy": it would send the request on to whatever address a random object names.
const STRANGE_SEGMENTS = [
  "",
  ".",
  "..",
  "%2e%2e",
  "%2f",
  "a%2fb",
  "%00",
  "%",
  "%zz",
  "%ff",
  "%F0%9F",
  "A".repeat(5000),
  "__proto__",
  "constructor",
  "watch",
  "namespaces",
  "status",
  "log",
  "binding",
  "exec",
  "finalize",
  "scale",
] as const;
const SELECTORS = [
  "app=x",
  "app",
  "!app",
  "app in (a,b)",
  "app notin (",
  "a==b==c",
  "(((((",
  ",,,,",
  "=",
  "a in ()",
  "app!=x,",
  "metadata.name=a",
  "metadata.name=a,metadata.namespace=fuzz",
  "spec.nope=1",
  "spec.type=NodePort",
  "status.phase=Running",
  "x".repeat(70_000),
  `${"a=b,".repeat(5000)}a=b`,
  "\0",
  "a=\\,b",
  "é=ü",
] as const;
const VERSIONS = [
  "0",
  "1",
  "-1",
  "abc",
  "1e3",
  "0x10",
  "00000000000000000000001",
  "18446744073709551616",
  "1.5",
  " 1",
] as const;
const TOKENS = [
  "x",
  "e30",
  "bnVsbA",
  "W10",
  Buffer.from('{"rv":-1,"after":"a"}').toString("base64url"),
  Buffer.from('{"rv":1e15,"after":"a"}').toString("base64url"),
  Buffer.from('{"rv":5,"after":"\\u0000"}').toString("base64url"),
  Buffer.from(`{"rv":${"[".repeat(20_000)}`).toString("base64url"),
] as const;
const COUNTS = ["0", "1", "2", "-1", "x", "1e9", "999999999999999", "9999999999999999999"] as const;
const BOOLEANS = ["true", "false", "1", "0", "", "T", "yes", "tRuE"] as const;

const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  watch: BOOLEANS,
  labelSelector: SELECTORS,
  fieldSelector: SELECTORS,
  resourceVersion: VERSIONS,
  resourceVersionMatch: ["Exact", "NotOlderThan", "exact", ""],
  limit: COUNTS,
  continue: TOKENS,
  timeoutSeconds: ["1", "0", "-5", "x"],
  allowWatchBookmarks: BOOLEANS,
  sendInitialEvents: BOOLEANS,
  fieldValidation: ["Strict", "Warn", "Ignore", "strict", ""],
  fieldManager: ["kubectl", "é", "m".repeat(200), "\0"],
  force: BOOLEANS,
  dryRun: ["All", "all", ""],
  gracePeriodSeconds: ["0", "1", "-1", "x", "99999999999"],
  propagationPolicy: ["Orphan", "Background", "Foreground", "Never"],
  includeObject: ["None", "Metadata", "Object", "x"],
  pretty: BOOLEANS,
  container: ["c", "nope"],
  follow: BOOLEANS,
  tailLines: COUNTS,
  sinceTime: ["x", "2024-01-01T00:00:00Z"],
};

const ACCEPTS = [
  "application/json",
  "*/*",
  "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
  "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
  "application/json;as=Nothing;v=v1;g=meta.k8s.io",
  "application/vnd.kubernetes.protobuf",
  "application/vnd.kubernetes.protobuf,application/json",
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  "text/html",
  "",
  ";;;,,,",
  "application/json;q=0",
  "application/json;q=NaN",
  `${"a/b,".repeat(1000)}`,
] as const;
const PATCH_TYPES = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
] as const;
const BODY_TYPES = [
  "application/json",
  "application/json; charset=utf-8",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
] as const;
const STRANGE_TYPES = ["text/plain", "", ";", "application/cbor", "a".repeat(2000)] as const;

/** Each is tried on every kind, whether it has it or not. */
const SUBRESOURCES = [
  "status",
  "status",
  "scale",
  "scale",
  "log",
  "binding",
  "eviction",
  "token",
  "finalize",
  "exec",
  "attach",
  "portforward",
  "ephemeralcontainers",
  "approval",
  "x",
] as const;

/** About so many bytes come before the object itself. */
const ENVELOPE_BYTES = 40;

/** One random request, near enough to a good one to get past the first check. */
export function randomRequest(random: Random): FuzzRequest {
  if (random.chance(0.03)) return randomReview(random);
  const kind = random.chance(0.03) ? CUSTOM_KIND : random.pick(KINDS);
  const wanted = random.pick(METHODS);
  // The server makes the default ServiceCIDR again by itself; until then no Service gets an address.
  const method = kind.kind === "ServiceCIDR" && wanted === "DELETE" ? "GET" : wanted;
  // What follows from a definition the server writes by itself, at a time of its own.
  const isTried = kind.kind === "CustomResourceDefinition" && method !== "GET";
  const hasBody = method === "POST" || method === "PUT" || method === "PATCH" || random.chance(0.1);
  const type = typeOf(random, method);
  return {
    method,
    url: pathOf(random, kind, method) + (isTried ? triedOnly : String)(queryOf(random)),
    headers: {
      ...(random.chance(0.97) ? { "content-type": type } : {}),
      ...(random.chance(0.2) ? { accept: random.pick(ACCEPTS) } : {}),
      ...(random.chance(0.1) ? { "accept-encoding": random.pick(["gzip", "gzip;q=0", "x"]) } : {}),
      ...(random.chance(0.02) ? { "content-encoding": "gzip" } : {}),
      ...(random.chance(0.04) ? random.pick(CLAIMS) : {}),
    },
    body: hasBody ? bodyOf(random, kind, method, type) : undefined,
    isAdmin: random.chance(0.97),
  };
}

function triedOnly(query: string): string {
  return query === "" ? "?dryRun=All" : `${query}&dryRun=All`;
}

/** A question about rights, identities or tokens. */
function randomReview(random: Random): FuzzRequest {
  const kind = random.pick(REVIEWS);
  const root = `/apis/${apiVersionOf(kind)}`;
  const inside = kind.namespaced ? `/namespaces/${random.pick([FUZZ_NAMESPACE, "other"])}` : "";
  const type = random.pick(BODY_TYPES);
  const good = {
    ...derivedOf(kind.schema),
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: {},
  };
  const value = random.chance(0.3) ? good : mutated(random, good);
  const bytes = type.includes("protobuf")
    ? Buffer.from(sealEnvelope(kind.schema, good))
    : Buffer.from(JSON.stringify(value));
  return {
    method: random.chance(0.9) ? "POST" : random.pick(METHODS),
    url: `${root}${inside}/${kind.plural}${queryOf(random)}`,
    headers: { "content-type": type, ...(random.chance(0.2) ? random.pick(CLAIMS) : {}) },
    body: random.chance(0.8) ? bytes : mutatedBytes(random, bytes),
    isAdmin: random.chance(0.8),
  };
}

function typeOf(random: Random, method: string): string {
  if (random.chance(0.03)) return random.pick(STRANGE_TYPES);
  return random.pick(method === "PATCH" ? PATCH_TYPES : BODY_TYPES);
}

function pathOf(random: Random, kind: KindDefinition, method: string): string {
  const root = kind.group === "" ? "/api/v1" : `/apis/${kind.group}/${kind.version}`;
  const inside = kind.namespaced && random.chance(0.9) ? ["namespaces", FUZZ_NAMESPACE] : [];
  const named = method === "POST" ? random.chance(0.1) : random.chance(0.7);
  const below = named ? [nameOf(random, kind)] : [];
  const sub = named && random.chance(0.15) ? [random.pick(SUBRESOURCES)] : [];
  let segments: readonly string[] = [...inside, kind.plural, ...below, ...sub];
  if (random.chance(0.02)) segments = ["watch", ...segments];
  if (random.chance(0.06)) {
    segments = segments.toSpliced(
      random.below(segments.length + 1),
      random.below(2),
      random.pick(STRANGE_SEGMENTS),
    );
  }
  if (random.chance(0.03)) {
    return random.pick([
      "/api",
      "/apis",
      "/openapi/v3",
      "/openapi/v2",
      "/version",
      "/metrics",
      "/healthz",
      "/livez/",
      "//",
      "/",
      "",
      "*",
      "/apis/x/y",
      "/api/v1",
      "/\0",
    ]);
  }
  return `${root}/${segments.join("/")}`;
}

function nameOf(random: Random, kind: KindDefinition): string {
  return random.pick(NAMES_OF[kind.kind] ?? NAMES);
}

function queryOf(random: Random): string {
  if (random.chance(0.6)) return "";
  const names = Object.keys(PARAMETERS);
  const parts = Array.from({ length: 1 + random.below(3) }, () => {
    const name = random.pick(names);
    const value = random.chance(0.1) ? anyText(random) : random.pick(PARAMETERS[name] ?? [""]);
    // Half a surrogate pair is no URL; a client could only send it as bytes.
    return `${name}=${random.chance(0.95) ? encodeURIComponent(Buffer.from(value).toString()) : "%zz&&=%"}`;
  });
  return `?${parts.join("&")}`;
}

function bodyOf(random: Random, kind: KindDefinition, method: string, type: string): Buffer {
  if (random.chance(0.01)) return random.bytes(random.below(2000));
  if (random.chance(0.01)) return deep(random);
  const good = valueOf(random, kind, method, type);
  const value = random.chance(0.25) ? good : mutated(random, good);
  const bytes = serialized(random, kind, value, type);
  return random.chance(0.9) ? bytes : mutatedBytes(random, bytes);
}

function valueOf(random: Random, kind: KindDefinition, method: string, type: string): unknown {
  if (type === "application/json-patch+json") return jsonPatch(random);
  if (method === "DELETE") {
    return {
      kind: "DeleteOptions",
      apiVersion: "v1",
      gracePeriodSeconds: 0,
      propagationPolicy: "Background",
      preconditions: { uid: "x", resourceVersion: "1" },
    };
  }
  const sample = random.chance(0.8) ? sampleOf(kind) : wideSampleOf(kind);
  const metadata: object = sample.metadata;
  return {
    ...sample,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: {
      ...metadata,
      name: nameOf(random, kind),
      ...(random.chance(0.1) ? { name: undefined, generateName: "gen-" } : {}),
    },
  };
}

const POINTERS = [
  "",
  "/",
  "/spec",
  "/metadata/labels/a",
  "/metadata/annotations",
  "/spec/ports/0",
  "/spec/ports/-",
  "/spec/ports/99999999999",
  "/spec/ports/01",
  "/spec/type",
  "/__proto__/x",
  "/constructor/prototype/x",
  "/metadata/~2",
  "x",
] as const;

function jsonPatch(random: Random): unknown {
  return Array.from({ length: random.below(5) }, () => ({
    op: random.pick(["add", "remove", "replace", "move", "copy", "test", "nope"]),
    path: random.pick(POINTERS),
    from: random.pick(POINTERS),
    value: anyValue(random),
  }));
}

function serialized(random: Random, kind: KindDefinition, value: unknown, type: string): Buffer {
  if (!type.includes("protobuf")) return Buffer.from(JSON.stringify(value));
  // The encoder takes canonical objects only, so what is broken here is broken in the bytes.
  const good = { ...sampleOf(kind), apiVersion: apiVersionOf(kind), kind: kind.kind };
  const bytes = Buffer.from(sealEnvelope(kind.schema, good));
  if (random.chance(0.5)) return bytes;
  const at = random.below(ENVELOPE_BYTES);
  return Buffer.concat([bytes.subarray(0, at), mutatedBytes(random, bytes.subarray(at))]);
}

function deep(random: Random): Buffer {
  const depth = random.pick([400, 600, 20_000, 200_000]);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
    ['{"metadata":{"labels":', "}}"],
    ["- ", ""],
    ["&a [*a,", "]"],
  ] as const);
  const whole = open.repeat(depth) + (random.chance(0.5) ? `1${close.repeat(depth)}` : "");
  return Buffer.from(whole);
}
