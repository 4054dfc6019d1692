import type { ConfigMap } from "../api/v1/configmap.ts";
import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Secret } from "../api/v1/secret.ts";
import type { Volume } from "../api/v1/volume.ts";
import { fieldValue, resourceValue } from "./downward.ts";
import type { PodPlace } from "./downward.ts";

type Projection = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];

/** What kind of token a file wants. */
export type TokenSource = NonNullable<Projection["serviceAccountToken"]>;

/** A volume whose files the agent writes, whichever of the four kinds it was declared as. */
export interface WrittenVolume {
  readonly name: string;
  readonly sources: readonly Projection[];
  /** Mode of files that say nothing else. */
  readonly defaultMode: number;
}

/** What the files are made of. */
export interface VolumeInputs {
  readonly pod: Pod;
  readonly place: PodPlace;
  /** By name; what is not there is missing in the API. */
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** By the path of their file. */
  readonly tokens: ReadonlyMap<string, string>;
}

export interface VolumeFile {
  readonly content: Buffer;
  readonly mode: number;
}

export type VolumeFiles =
  /** By path below the volume; later sources win, as upstream. */
  | { readonly kind: "files"; readonly files: ReadonlyMap<string, VolumeFile> }
  | { readonly kind: "missing"; readonly message: string };

const READ_ALL = 0o644;

/** The volume as one that the agent writes; undefined for one that it does not. */
export function writtenVolume(volume: Volume): WrittenVolume | undefined {
  const { name, configMap, secret, downwardAPI, projected } = volume;
  const of = (mode: number | undefined, ...sources: readonly Projection[]): WrittenVolume => ({
    name,
    sources,
    defaultMode: mode ?? READ_ALL,
  });
  if (configMap !== undefined) return of(configMap.defaultMode, { configMap });
  if (secret !== undefined) {
    const { secretName, items, optional, defaultMode } = secret;
    return of(defaultMode, { secret: { name: secretName, items, optional } });
  }
  if (downwardAPI !== undefined) {
    return of(downwardAPI.defaultMode, { downwardAPI: { items: downwardAPI.items } });
  }
  return projected && of(projected.defaultMode, ...(projected.sources ?? []));
}

/** Sources of a kind that nothing here can be written from, for a message; undefined when there are none. */
export function unknownSource({ sources }: WrittenVolume): string | undefined {
  const source = sources.find((each) => each.clusterTrustBundle ?? each.podCertificate);
  if (source === undefined) return undefined;
  return source.podCertificate === undefined ? "clusterTrustBundle" : "podCertificate";
}

/** Names of the objects that a volume is made of. */
export function volumeRefs({ sources }: WrittenVolume): {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
} {
  return {
    configMaps: new Set(sources.flatMap(({ configMap }) => configMap?.name ?? [])),
    secrets: new Set(sources.flatMap(({ secret }) => secret?.name ?? [])),
  };
}

/** The files of a volume, or what keeps them from being written, in kubelet's words. */
export function volumeFiles(volume: WrittenVolume, inputs: VolumeInputs): VolumeFiles {
  const files = new Map<string, VolumeFile>();
  const namespace = inputs.pod.metadata.namespace ?? "";
  const problems: string[] = [];
  const put = (path: string, content: Buffer, mode: number | undefined): void => {
    if (isInside(path)) files.set(path, { content, mode: mode ?? volume.defaultMode });
    else problems.push(`a projected file cannot be at ${JSON.stringify(path)}: outside its volume`);
  };
  const putKeys = (
    what: string,
    { name = "", items = [], optional }: NonNullable<Projection["configMap"]>,
    data: ReadonlyMap<string, Buffer> | undefined,
  ): void => {
    if (data === undefined) {
      if (optional !== true) problems.push(`${what} "${name}" not found`);
      return;
    }
    if (items.length === 0) for (const [key, content] of data) put(key, content, undefined);
    for (const { key, path, mode } of items) {
      const content = data.get(key);
      if (content !== undefined) put(path, content, mode);
      else if (optional !== true) problems.push(`references non-existent ${what} key: ${key}`);
    }
  };
  for (const { configMap, secret, downwardAPI, serviceAccountToken } of volume.sources) {
    if (configMap !== undefined) {
      const found = inputs.configMaps.get(configMap.name ?? "");
      putKeys("configmap", configMap, found && configMapData(found));
    }
    if (secret !== undefined) {
      const found = inputs.secrets.get(secret.name ?? "");
      putKeys("secret", secret, found && secretData(found));
    }
    for (const { path, fieldRef, resourceFieldRef, mode } of downwardAPI?.items ?? []) {
      const value =
        resourceFieldRef === undefined
          ? fieldValue(inputs.pod, inputs.place, fieldRef?.fieldPath ?? "")
          : resourceValue(inputs.pod, NO_CONTAINER, inputs.place, resourceFieldRef);
      if (value === undefined) problems.push(`no such field of the Pod for ${path}`);
      else put(path, Buffer.from(value), mode);
    }
    const token = serviceAccountToken && inputs.tokens.get(serviceAccountToken.path);
    if (token !== undefined) put(serviceAccountToken?.path ?? "", Buffer.from(token), undefined);
  }
  const [first] = problems;
  if (first === undefined) return { kind: "files", files };
  const isReference = first.startsWith("configmap") || first.startsWith("secret");
  return { kind: "missing", message: isReference ? first : `${namespace}: ${first}` };
}

/** A file of a volume must name its container; none is "own". */
const NO_CONTAINER: Container = { name: "" };

function configMapData({ data, binaryData }: ConfigMap): ReadonlyMap<string, Buffer> {
  return new Map([
    ...Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text)] as const),
    ...Object.entries(binaryData ?? {}).map(
      ([key, text]) => [key, Buffer.from(text, "base64")] as const,
    ),
  ]);
}

function secretData({ data }: Secret): ReadonlyMap<string, Buffer> {
  return new Map(
    Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, "base64")]),
  );
}

/** Also not below a name that the writing itself uses. */
function isInside(path: string): boolean {
  const parts = path.split("/");
  return path !== "" && !path.startsWith("/") && !parts.includes("..") && !path.startsWith("..");
}
