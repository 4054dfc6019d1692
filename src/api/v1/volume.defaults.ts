import type { Volume } from "./volume.ts";

/** rw-r--r-- */
const DEFAULT_FILE_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

type DownwardFiles = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>;
type Projection = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];

/** Fills in what a volume leaves out; one that names no source at all is an empty directory. */
export function defaultVolume(volume: Volume): Volume {
  const isBare = Object.entries(volume).every(
    ([key, value]) => key === "name" || value === undefined,
  );
  if (isBare) return { ...volume, emptyDir: {} };
  const { secret, configMap, downwardAPI, projected, hostPath } = volume;
  return {
    ...volume,
    ...(secret && { secret: withMode(secret) }),
    ...(configMap && { configMap: withMode(configMap) }),
    ...(downwardAPI && { downwardAPI: withFieldVersions(withMode(downwardAPI)) }),
    ...(projected && {
      projected: {
        ...withMode(projected),
        ...(projected.sources && { sources: projected.sources.map(defaultProjection) }),
      },
    }),
    ...(hostPath && { hostPath: { ...hostPath, type: hostPath.type ?? "" } }),
  };
}

function withMode<T extends { readonly defaultMode?: number | undefined }>(source: T): T {
  return { ...source, defaultMode: source.defaultMode ?? DEFAULT_FILE_MODE };
}

function defaultProjection(source: Projection): Projection {
  const { downwardAPI, serviceAccountToken: token } = source;
  return {
    ...source,
    ...(downwardAPI && { downwardAPI: withFieldVersions(downwardAPI) }),
    ...(token && {
      serviceAccountToken: {
        ...token,
        expirationSeconds: token.expirationSeconds ?? DEFAULT_TOKEN_SECONDS,
      },
    }),
  };
}

function withFieldVersions<T extends { readonly items?: DownwardFiles | undefined }>(source: T): T {
  if (source.items === undefined) return source;
  const items = source.items.map((file) =>
    file.fieldRef === undefined
      ? file
      : { ...file, fieldRef: { ...file.fieldRef, apiVersion: file.fieldRef.apiVersion || "v1" } },
  );
  return { ...source, items };
}
