import { forbidden, invalid, notFound, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { Container } from "./container.ts";
import { validateDescendingPath } from "./volume.validation.ts";
import type { Volume } from "./volume.ts";

type VolumeMount = NonNullable<Container["volumeMounts"]>[number];

const PROPAGATIONS = ["Bidirectional", "HostToContainer", "None"] as const;
const RECURSIVE = ["Disabled", "Enabled", "IfPossible"] as const;

/**
 * Checks what a container mounts. Source of rules and texts: upstream `ValidateVolumeMounts` and
 * `ValidateVolumeDevices`, whose paths sometimes leave out the index; so do these.
 * @param volumes those of its Pod that are right, by name.
 */
export function validateMounts(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
): readonly FieldError[] {
  const { volumeMounts = [], volumeDevices = [] } = container;
  const at = `${path}.volumeMounts`;
  const paths = new Set<string>();
  const mounts = volumeMounts.flatMap((mount, i) => {
    const { name, mountPath, subPath = "", subPathExpr = "" } = mount;
    const own = `${at}[${String(i)}]`;
    const errors: FieldError[] = [];
    if (name === "") errors.push(required(`${own}.name`));
    if (!volumes.has(name)) errors.push(notFound(`${own}.name`, name));
    if (mountPath === "") errors.push(required(`${own}.mountPath`));
    if (paths.has(mountPath)) errors.push(invalid(`${own}.mountPath`, mountPath, "must be unique"));
    paths.add(mountPath);
    if (volumeDevices.some((device) => device.name === name)) {
      errors.push(invalid(`${own}.name`, name, "must not already exist in volumeDevices"));
    }
    if (volumeDevices.some((device) => device.devicePath === mountPath)) {
      const text = "must not already exist as a path in volumeDevices";
      errors.push(invalid(`${own}.mountPath`, mountPath, text));
    }
    errors.push(...validateDescendingPath(subPath, `${at}.subPath`));
    if (subPath !== "" && subPathExpr !== "") {
      const text = "subPathExpr and subPath are mutually exclusive";
      errors.push(invalid(`${own}.subPathExpr`, subPathExpr, text));
    }
    errors.push(...validateDescendingPath(subPathExpr, `${at}.subPathExpr`));
    return [
      ...errors,
      ...validatePropagation(mount, container, `${at}.mountPropagation`),
      ...validateRecursion(mount, `${at}.recursiveReadOnly`),
    ];
  });
  return [...mounts, ...validateDevices(container, volumes, `${path}.volumeDevices`)];
}

function validatePropagation(
  { mountPropagation: mode }: VolumeMount,
  { securityContext }: Container,
  path: string,
): readonly FieldError[] {
  if (mode === undefined) return [];
  const known: readonly string[] = PROPAGATIONS;
  if (!known.includes(mode)) return [notSupported(path, mode, known)];
  if (mode !== "Bidirectional" || securityContext?.privileged === true) return [];
  const text = "Bidirectional mount propagation is available only to privileged containers";
  return [forbidden(path, text)];
}

function validateRecursion(mount: VolumeMount, path: string): readonly FieldError[] {
  const { recursiveReadOnly: mode = "Disabled", mountPropagation = "None", readOnly } = mount;
  const known: readonly string[] = RECURSIVE;
  if (!known.includes(mode)) return [notSupported(path, mode, known)];
  if (mode === "Disabled") return [];
  const only = "may only be specified when";
  return [
    ...(readOnly === true ? [] : [forbidden(path, `${only} readOnly is true`)]),
    ...(mountPropagation === "None"
      ? []
      : [forbidden(path, `${only} mountPropagation is None or not specified`)]),
  ];
}

function validateDevices(
  { volumeMounts = [], volumeDevices = [] }: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
): readonly FieldError[] {
  const names = new Set<string>();
  const paths = new Set<string>();
  return volumeDevices.flatMap(({ name, devicePath }, i) => {
    const at = `${path}[${String(i)}]`;
    const volume = volumes.get(name);
    const errors: FieldError[] = [];
    if (name === "") errors.push(required(`${at}.name`));
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, "must be unique"));
    if (volume === undefined) errors.push(notFound(`${at}.name`, name));
    else if (volume.persistentVolumeClaim === undefined && !Object.hasOwn(volume, "ephemeral")) {
      const text =
        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
      errors.push(invalid(`${at}.name`, name, text));
    }
    if (devicePath === "") errors.push(required(`${at}.devicePath`));
    if (paths.has(devicePath)) {
      errors.push(invalid(`${at}.devicePath`, devicePath, "must be unique"));
    }
    if (devicePath.split("/").includes("..")) {
      errors.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    } else paths.add(devicePath);
    if (volumeMounts.some((mount) => mount.name === name)) {
      errors.push(invalid(`${at}.name`, name, "must not already exist in volumeMounts"));
    }
    if (volumeMounts.some((mount) => mount.mountPath === devicePath)) {
      const text = "must not already exist as a path in volumeMounts";
      errors.push(invalid(`${at}.devicePath`, devicePath, text));
    }
    if (name !== "") names.add(name);
    return errors;
  });
}
