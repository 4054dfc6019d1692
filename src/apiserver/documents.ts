import { createHash } from "node:crypto";
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from "../api/machinery/discovery.ts";
import type { DiscoveryVersion, ServedSubresource } from "../api/machinery/discovery.ts";
import type { JsonObject } from "../api/machinery/json.ts";
import type { KindDefinition, ReviewKind } from "../api/machinery/kind.ts";
import { REVIEWS } from "../api/reviews.ts";
import { SUBRESOURCE_SCHEMAS } from "../api/subresources.ts";
import { groupVersionPath, openApiV3, openApiV3Index } from "../api/machinery/openapi.ts";
import { openApiV2 } from "../api/machinery/openapi-v2.ts";
import {
  OPENAPI_V2_PROTOBUF,
  OPENAPI_V2_PROTOBUF_OLD,
  encodeOpenApiV2,
} from "../api/machinery/openapi-v2-protobuf.ts";
import { JSON_TYPE, bytesResponse, chunksOf, jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { notAcceptable } from "./failures.ts";
import { parseAccept } from "./negotiate.ts";

const OPENAPI_V2_PROTOBUFS: readonly string[] = [OPENAPI_V2_PROTOBUF, OPENAPI_V2_PROTOBUF_OLD];
const CONNECT_VERBS = ["create", "get"];
const PROXY_VERBS = ["create", "delete", "get", "patch", "update"];

function connected(
  plural: string,
  name: string,
  kind: string,
  verbs: readonly string[],
): ServedSubresource {
  const v1 = { group: "", version: "v1" };
  return { parent: { ...v1, plural }, name, responseKind: { ...v1, kind }, verbs };
}

/** Beside `/status`, which follows from each kind's strategy. Handlers: resource.ts. */
const SUBRESOURCES: readonly ServedSubresource[] = [
  connected("pods", "attach", "PodAttachOptions", CONNECT_VERBS),
  connected("pods", "exec", "PodExecOptions", CONNECT_VERBS),
  connected("pods", "portforward", "PodPortForwardOptions", CONNECT_VERBS),
  connected("pods", "proxy", "PodProxyOptions", PROXY_VERBS),
  connected("services", "proxy", "ServiceProxyOptions", PROXY_VERBS),
  connected("nodes", "proxy", "NodeProxyOptions", PROXY_VERBS),
  {
    parent: { group: "", version: "v1", plural: "namespaces" },
    name: "finalize",
    responseKind: { group: "", version: "v1", kind: "Namespace" },
    verbs: ["update"],
  },
  {
    parent: { group: "", version: "v1", plural: "pods" },
    name: "binding",
    responseKind: { group: "", version: "v1", kind: "Binding" },
    verbs: ["create"],
  },
  {
    parent: { group: "", version: "v1", plural: "pods" },
    name: "eviction",
    responseKind: { group: "policy", version: "v1", kind: "Eviction" },
    verbs: ["create"],
  },
  {
    parent: { group: "", version: "v1", plural: "pods" },
    name: "log",
    responseKind: { group: "", version: "v1", kind: "Pod" },
    verbs: ["get"],
  },
  {
    parent: { group: "", version: "v1", plural: "serviceaccounts" },
    name: "token",
    responseKind: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" },
    verbs: ["create"],
  },
];

interface Document {
  readonly bytes: Uint8Array;
  /** 128 hexadecimal digits, as clients see in the index of OpenAPI and in ETags. */
  readonly hash: string;
}

type Told = KindDefinition | ReviewKind;
type Headers = Readonly<Record<string, string>>;

/**
 * What the server tells of itself: discovery in both forms, and OpenAPI. Each made on first use, and again when
 * the kinds that it tells of have changed.
 */
export class Documents {
  readonly #live: { readonly all: readonly KindDefinition[] };
  readonly #version: string;
  readonly #made = new Map<string, Document | undefined>();
  /** OpenAPI by path, with the kinds that it was made of. */
  readonly #openApis = new Map<string, Document & { readonly of: readonly Told[] }>();
  #kinds: readonly KindDefinition[];
  /** Those, and the kinds that are only asked about. */
  #told: readonly Told[];
  #subresources: readonly ServedSubresource[];

  constructor(live: { readonly all: readonly KindDefinition[] }, version: string) {
    this.#live = live;
    this.#kinds = live.all;
    this.#told = [...live.all, ...REVIEWS];
    this.#subresources = [...SUBRESOURCES, ...live.all.flatMap(scaleOf)];
    this.#version = version;
  }

  /** @returns undefined for a path that has no document. */
  answer(path: string, query: URLSearchParams, headers: Headers): ApiResponse | undefined {
    this.#follow();
    const trimmed = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
    if (trimmed === "/openapi/v2") return this.#openApiV2(headers);
    if (trimmed === "/openapi/v3") return this.#openApiIndex(headers);
    if (trimmed.startsWith("/openapi/v3/")) {
      return this.#openApi(trimmed.slice("/openapi/v3/".length), query, headers);
    }
    if (trimmed === "/") return jsonResponse(200, { paths: this.#paths() });
    return this.#discovery(trimmed, headers);
  }

  #follow(): void {
    const kinds = this.#live.all;
    if (kinds === this.#kinds) return;
    this.#kinds = kinds;
    this.#told = [...kinds, ...REVIEWS];
    this.#subresources = [...SUBRESOURCES, ...kinds.flatMap(scaleOf)];
    this.#made.clear();
    const paths = this.#groupVersions();
    for (const path of this.#openApis.keys())
      if (!paths.includes(path)) this.#openApis.delete(path);
  }

  #discovery(path: string, headers: Headers): ApiResponse | undefined {
    const isRoot = path === "/api" || path === "/apis";
    const form = isRoot ? discoveryForm(headers["accept"]) : undefined;
    if (form !== undefined) {
      const document = this.#once(`${path} ${form}`, () =>
        aggregatedDiscovery(
          this.#told,
          this.#subresources,
          path === "/api" ? "core" : "named",
          form,
        ),
      );
      const type = `${JSON_TYPE};g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
      return document && documentResponse(document, headers, { "content-type": type });
    }
    const document = this.#once(path, () => this.#legacyDiscovery(path));
    return document && documentResponse(document, headers, {});
  }

  #legacyDiscovery(path: string): object | undefined {
    const [root, group = "", version = "", ...rest] = path.slice(1).split("/");
    if (rest.length > 0) return undefined;
    if (root === "api") {
      if (group === "") return apiVersions(this.#told, "");
      return version === ""
        ? apiResourceList(this.#told, this.#subresources, "", group)
        : undefined;
    }
    if (root !== "apis") return undefined;
    if (group === "") return apiGroupList(this.#told);
    return version === ""
      ? apiGroup(this.#told, group)
      : apiResourceList(this.#told, this.#subresources, group, version);
  }

  #openApiIndex(headers: Headers): ApiResponse | undefined {
    const document = this.#once("openapi", () =>
      openApiV3Index(
        this.#groupVersions().flatMap((path) => {
          const hash = this.#openApiDocument(path)?.hash;
          return hash === undefined ? [] : [{ path, hash }];
        }),
      ),
    );
    return document && documentResponse(document, headers, {});
  }

  #openApi(path: string, query: URLSearchParams, headers: Headers): ApiResponse | undefined {
    const document = this.#openApiDocument(path);
    if (document === undefined) return undefined;
    const hash = query.get("hash");
    if (hash === null) return documentResponse(document, headers, {});
    if (hash !== document.hash) {
      const location = `/openapi/v3/${path}?hash=${document.hash}`;
      return { status: 301, headers: { location, "content-length": "0" }, body: chunksOf() };
    }
    // The address has the hash in it, so what is there never changes.
    return documentResponse(document, headers, {
      "cache-control": "public, immutable",
      expires: new Date(Date.now() + 365 * 86_400_000).toUTCString(),
    });
  }

  #openApiDocument(path: string): Document | undefined {
    const kinds = this.#told.filter((kind) => groupVersionPath(kind) === path);
    if (kinds.length === 0) return undefined;
    const known = this.#openApis.get(path);
    if (known?.of.length === kinds.length && known.of.every((kind, i) => kind === kinds[i])) {
      return known;
    }
    const document = { ...documentOf(this.#openApiOf(kinds)), of: kinds };
    this.#openApis.set(path, document);
    return document;
  }

  #openApiOf(kinds: readonly Told[]): JsonObject {
    const subresources = { served: this.#subresources, schemas: SUBRESOURCE_SCHEMAS };
    return openApiV3(kinds, this.#info(), subresources);
  }

  /**
   * As the caller likes it: JSON, or gnostic's protobuf, which kubectl wants when it applies a List.
   * @throws StatusError 406.
   */
  #openApiV2(headers: Headers): ApiResponse | undefined {
    for (const { type } of parseAccept(headers["accept"])) {
      if (OPENAPI_V2_PROTOBUFS.includes(type)) {
        const made = this.#once("openapi/v2 protobuf", () => encodeOpenApiV2(this.#v2()));
        return made && documentResponse(made, headers, { "content-type": OPENAPI_V2_PROTOBUF });
      }
      if ([JSON_TYPE, "application/*", "*/*"].includes(type)) {
        const made = this.#once("openapi/v2", () => this.#v2());
        return made && documentResponse(made, headers, {});
      }
    }
    throw notAcceptable([JSON_TYPE, OPENAPI_V2_PROTOBUF]);
  }

  #v2(): JsonObject {
    const documents = this.#groupVersions().map((path) =>
      this.#openApiOf(this.#told.filter((kind) => groupVersionPath(kind) === path)),
    );
    return openApiV2(documents, this.#info());
  }

  #info(): { readonly title: string; readonly version: string } {
    return { title: "Kubernetes", version: `v1.34.0+portolan.${this.#version}` };
  }

  #groupVersions(): readonly string[] {
    return [...new Set(this.#told.map(groupVersionPath))];
  }

  #paths(): readonly string[] {
    const apis = this.#groupVersions().map((path) => `/${path}`);
    const other = [
      "/.well-known/openid-configuration",
      "/healthz",
      "/livez",
      "/metrics",
      "/openapi/v2",
      "/openapi/v3",
      "/openid/v1/jwks",
      "/readyz",
      "/version",
    ];
    return ["/api", "/apis", ...apis, ...other].toSorted();
  }

  #once(name: string, make: () => object | undefined): Document | undefined {
    if (this.#made.has(name)) return this.#made.get(name);
    const value = make();
    // Names of documents that do not exist come from outside: remembering them would grow without bound.
    if (value === undefined) return undefined;
    const document = documentOf(value);
    this.#made.set(name, document);
    return document;
  }
}

function documentOf(value: object): Document {
  const bytes = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
  return { bytes, hash: createHash("sha512").update(bytes).digest("hex").toUpperCase() };
}

/** `/scale` of a kind that has it. */
function scaleOf(kind: KindDefinition): readonly ServedSubresource[] {
  if (kind.scale === undefined) return [];
  return [
    {
      parent: kind,
      name: "scale",
      responseKind: { group: "autoscaling", version: "v1", kind: "Scale" },
      verbs: ["get", "patch", "update"],
    },
  ];
}

/** The aggregated form that the caller prefers to the old one; undefined: the old one. */
function discoveryForm(accept: string | undefined): DiscoveryVersion | undefined {
  for (const { type, parameters } of parseAccept(accept)) {
    if (type !== JSON_TYPE && type !== "*/*" && type !== "application/*") continue;
    if (parameters.get("as") === undefined) return undefined;
    if (parameters.get("as") !== "APIGroupDiscoveryList") continue;
    if (parameters.get("g") !== "apidiscovery.k8s.io") continue;
    const version = parameters.get("v");
    if (version === "v2" || version === "v2beta1") return version;
  }
  throw notAcceptable([JSON_TYPE]);
}

function documentResponse(document: Document, headers: Headers, more: Headers): ApiResponse {
  const etag = `"${document.hash}"`;
  const common = { etag, vary: "Accept", ...more };
  if (headers["if-none-match"]?.split(",").some((one) => one.trim() === etag) === true) {
    return { status: 304, headers: common, body: chunksOf() };
  }
  return bytesResponse(200, document.bytes, common);
}
