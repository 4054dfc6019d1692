import { duplicate, forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateDnsLabel, validateQualifiedName } from "../machinery/value.validation.ts";
import type { Volume } from "./volume.ts";
import { validateResourceField } from "./resource-field.validation.ts";

type ProjectedVolume = NonNullable<Volume["projected"]>;
type Projection = NonNullable<ProjectedVolume["sources"]>[number];
type Token = NonNullable<Projection["serviceAccountToken"]>;
type KeyToPath = NonNullable<NonNullable<Volume["configMap"]>["items"]>[number];
type DownwardFile = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>[number];

const MAX_MODE = 0o777;
const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 2 ** 32;
const MORE_THAN_ONE = "may not specify more than 1 volume type";
const HOST_PATH_TYPES = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
] as const;
/** Order in which upstream looks for a source: the first one is checked, those after it are one too many. */
const SOURCES = [
  "emptyDir",
  "hostPath",
  "secret",
  "nfs",
  "persistentVolumeClaim",
  "downwardAPI",
  "configMap",
  "projected",
  "csi",
  "image",
] as const;
/** Fields of a Pod that a file may show, beside single labels and annotations. */
const FILE_FIELDS = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
] as const;
/** Those that there are for other purposes: they have a name, but no file can show them. */
const OTHER_FIELDS = [
  "spec.nodeName",
  "spec.restartPolicy",
  "spec.schedulerName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.phase",
  "status.podIP",
  "status.podIPs",
] as const;
/**
 * Checks a Pod's volumes that have their defaults. Source of rules and texts: upstream
 * `pkg/apis/core/validation/validation.go`, `ValidateVolumes`, whose paths sometimes leave out an index; so do these.
 * @returns also the volumes that are right, by name: a container can mount no other.
 */
export function validateVolumes(
  volumes: readonly Volume[],
  path: string,
): { readonly errors: readonly FieldError[]; readonly valid: ReadonlyMap<string, Volume> } {
  const valid = new Map<string, Volume>();
  const errors = volumes.flatMap((volume, i) => {
    const at = `${path}[${String(i)}]`;
    const { name } = volume;
    const found = [
      ...validateSource(volume, at),
      ...(name === "" ? [required(`${at}.name`)] : validateDnsLabel(name, `${at}.name`)),
      ...(valid.has(name) ? [duplicate(`${at}.name`, name)] : []),
    ];
    if (found.length === 0) valid.set(name, volume);
    return found;
  });
  return { errors, valid };
}

function validateSource(volume: Volume, path: string): readonly FieldError[] {
  const known: readonly string[] = SOURCES;
  const given = Object.entries(volume)
    .filter(([key, value]) => key !== "name" && value !== undefined)
    .map(([key]) => key)
    // Sources that are kept unread come last.
    .sort((a, b) => (known.indexOf(a) >>> 0) - (known.indexOf(b) >>> 0));
  const [first = "", ...more] = given;
  return [
    ...validateSourceOf(first, volume, `${path}.${first}`),
    ...more.map((key) => forbidden(`${path}.${key}`, MORE_THAN_ONE)),
  ];
}

function validateSourceOf(kind: string, volume: Volume, path: string): readonly FieldError[] {
  const { emptyDir, hostPath, secret, configMap, nfs, csi, downwardAPI, projected } = volume;
  if (kind === "emptyDir") {
    return isNegative(emptyDir?.sizeLimit)
      ? [forbidden(`${path}.sizeLimit`, "SizeLimit field must be a valid resource quantity")]
      : [];
  }
  if (kind === "hostPath") return validateHostPath(hostPath, path);
  if (kind === "secret") {
    return [
      ...requiredText(secret?.secretName, `${path}.secretName`),
      ...validateMode(secret?.defaultMode, `${path}.defaultMode`),
      ...validateItems(secret?.items, path),
    ];
  }
  if (kind === "configMap") {
    return [
      ...requiredText(configMap?.name, `${path}.name`),
      ...validateMode(configMap?.defaultMode, `${path}.defaultMode`),
      ...validateItems(configMap?.items, path),
    ];
  }
  if (kind === "persistentVolumeClaim") {
    return requiredText(volume.persistentVolumeClaim?.claimName, `${path}.claimName`);
  }
  if (kind === "nfs") {
    const { server, path: remote = "" } = nfs ?? {};
    return [
      ...requiredText(server, `${path}.server`),
      ...requiredText(remote, `${path}.path`),
      ...(remote.startsWith("/")
        ? []
        : [invalid(`${path}.path`, remote, "must be an absolute path")]),
    ];
  }
  if (kind === "csi") return requiredText(csi?.driver, `${path}.driver`);
  if (kind === "downwardAPI") {
    return [
      ...validateMode(downwardAPI?.defaultMode, `${path}.defaultMode`),
      ...(downwardAPI?.items ?? []).flatMap((file) => validateDownwardFile(file, path)),
    ];
  }
  return projected === undefined ? [] : validateProjected(projected, path);
}

function validateHostPath(source: Volume["hostPath"], path: string): readonly FieldError[] {
  const { path: given = "", type = "" } = source ?? {};
  if (given === "") return [required(`${path}.path`)];
  const types: readonly string[] = HOST_PATH_TYPES;
  return [
    ...validateNoBacksteps(given, `${path}.path`),
    ...(types.includes(type) ? [] : [notSupported(`${path}.type`, type, types)]),
  ];
}

function validateProjected(
  { defaultMode, sources = [] }: ProjectedVolume,
  path: string,
): readonly FieldError[] {
  const taken = new Set<string>();
  const take = (files: readonly { readonly path: string }[], about: string | undefined) =>
    files.flatMap((file) => {
      if (file.path === "" || !taken.has(file.path)) {
        taken.add(file.path);
        return [];
      }
      return [invalid(path, about ?? file.path, "conflicting duplicate paths")];
    });
  const found = sources.flatMap((source, i) => {
    const at = `${path}.sources[${String(i)}]`;
    const { secret, configMap, downwardAPI, serviceAccountToken } = source;
    const errors: FieldError[] = [];
    for (const [key, keys] of Object.entries({ secret, configMap })) {
      if (keys === undefined) continue;
      errors.push(
        ...requiredText(keys.name, `${at}.${key}.name`),
        ...validateItems(keys.items, `${at}.${key}`),
        ...take(keys.items ?? [], keys.name ?? ""),
      );
    }
    for (const file of downwardAPI?.items ?? []) {
      errors.push(...validateDownwardFile(file, `${at}.downwardAPI`), ...take([file], undefined));
    }
    if (serviceAccountToken !== undefined) {
      errors.push(...validateToken(serviceAccountToken, `${at}.serviceAccountToken`, path));
    }
    const isMore = Object.values(source).filter((value) => value !== undefined).length > 1;
    return isMore ? [...errors, forbidden(at, MORE_THAN_ONE)] : errors;
  });
  return [...validateMode(defaultMode, `${path}.defaultMode`), ...found];
}

/** @param volumePath upstream names the path of a token's file as the volume's own. */
function validateToken(token: Token, path: string, volumePath: string): readonly FieldError[] {
  const { expirationSeconds: seconds = MIN_TOKEN_SECONDS, path: file } = token;
  const problem =
    seconds < MIN_TOKEN_SECONDS
      ? "may not specify a duration less than 10 minutes"
      : "may not specify a duration larger than 2^32 seconds";
  const isOutside = seconds < MIN_TOKEN_SECONDS || seconds > MAX_TOKEN_SECONDS;
  return [
    ...(isOutside ? [invalid(`${path}.expirationSeconds`, seconds, problem)] : []),
    ...(file === ""
      ? [required(`${volumePath}.path`)]
      : validateFilePath(file, `${volumePath}.path`)),
  ];
}

function validateItems(items: readonly KeyToPath[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap(({ key, path: file, mode }, i) => {
    const at = `${path}.items[${String(i)}]`;
    return [
      ...requiredText(key, `${at}.key`),
      ...requiredText(file, `${at}.path`),
      ...validateFilePath(file, `${at}.path`),
      ...validateMode(mode, `${at}.mode`),
    ];
  });
}

function validateDownwardFile(file: DownwardFile, path: string): readonly FieldError[] {
  const { fieldRef, resourceFieldRef } = file;
  const errors: FieldError[] = [
    ...requiredText(file.path, `${path}.path`),
    ...validateFilePath(file.path, `${path}.path`),
  ];
  if (fieldRef !== undefined) {
    errors.push(...validateField(fieldRef.fieldPath, `${path}.fieldRef`));
    if (resourceFieldRef !== undefined) {
      const text = "fieldRef and resourceFieldRef can not be specified simultaneously";
      errors.push(invalid(path, "resource", text));
    }
  } else if (resourceFieldRef !== undefined) {
    errors.push(...validateResourceField(resourceFieldRef, true, `${path}.resourceFieldRef`));
  } else errors.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  return [...errors, ...validateMode(file.mode, `${path}.mode`)];
}

function validateField(text: string, path: string): readonly FieldError[] {
  const at = `${path}.fieldPath`;
  if (text === "") return [required(at)];
  const [, parent, key = ""] = /^(.+)\['([^']*)'\]$/.exec(text) ?? [];
  if (parent === "metadata.annotations") return validateQualifiedName(key.toLowerCase(), path);
  if (parent === "metadata.labels") return validateQualifiedName(key, path);
  const files: readonly string[] = FILE_FIELDS;
  const others: readonly string[] = OTHER_FIELDS;
  if (files.includes(text)) return [];
  if (others.includes(text)) return [notSupported(at, text, files)];
  const problem =
    parent === undefined ? "field label not supported" : "field label does not support subscript";
  return [invalid(at, text, `error converting fieldPath: ${problem}: ${text}`)];
}

function validateMode(mode: number | undefined, path: string): readonly FieldError[] {
  if (mode === undefined || (mode >= 0 && mode <= MAX_MODE)) return [];
  return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")];
}

/** A file of a volume lies in it, and not where the writing itself puts things. */
function validateFilePath(file: string, path: string): readonly FieldError[] {
  const errors = validateDescendingPath(file, path);
  const isReserved = file.startsWith("..") && !file.startsWith("../") && file !== "..";
  return isReserved ? [...errors, invalid(path, file, "must not start with '..'")] : errors;
}

/** A part of a volume lies in it. Source: upstream `validateLocalDescendingPath`. */
export function validateDescendingPath(text: string, path: string): readonly FieldError[] {
  const isAbsolute = text.startsWith("/");
  return [
    ...(isAbsolute ? [invalid(path, text, "must be a relative path")] : []),
    ...validateNoBacksteps(text, path),
  ];
}

function validateNoBacksteps(text: string, path: string): readonly FieldError[] {
  return text.split("/").includes("..") ? [invalid(path, text, "must not contain '..'")] : [];
}

function requiredText(text: string | undefined, path: string): readonly FieldError[] {
  return text === undefined || text === "" ? [required(path)] : [];
}

function isNegative(quantity: string | number | undefined): boolean {
  return /^-.*[1-9]/.test(String(quantity ?? ""));
}
