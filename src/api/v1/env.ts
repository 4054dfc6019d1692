import { boolean, field, inline, message, present, quantity, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { localObjectReference } from "./reference.ts";

const V1 = "io.k8s.api.core.v1";

export const objectFieldSelector = message(
  `${V1}.ObjectFieldSelector`,
  "A field of the Pod itself.",
  {
    apiVersion: field(1, string, { description: "Schema of the path; v1 by default." }),
    fieldPath: present(2, string, { required: true, description: "e.g. status.podIP." }),
  },
  { atomic: true },
);

export const resourceFieldSelector = message(
  `${V1}.ResourceFieldSelector`,
  "A resource of a container.",
  {
    containerName: field(1, string),
    resource: present(2, string, { required: true }),
    divisor: field(3, quantity),
  },
  { atomic: true },
);

const configMapKeySelector = message(
  `${V1}.ConfigMapKeySelector`,
  "A key of a ConfigMap.",
  {
    localObjectReference: inline(1, localObjectReference),
    key: present(2, string, { required: true }),
    optional: field(3, boolean, { pointer: true }),
  },
  { atomic: true },
);

const secretKeySelector = message(
  `${V1}.SecretKeySelector`,
  "A key of a Secret.",
  {
    localObjectReference: inline(1, localObjectReference),
    key: present(2, string, { required: true }),
    optional: field(3, boolean, { pointer: true }),
  },
  { atomic: true },
);

const fileKeySelector = message(
  `${V1}.FileKeySelector`,
  "A key of a file of variables.",
  {
    volumeName: present(1, string, { required: true }),
    path: present(2, string, { required: true }),
    key: present(3, string, { required: true }),
    optional: field(4, boolean, { pointer: true, default: false }),
  },
  { atomic: true },
);

const envVarSource = message(`${V1}.EnvVarSource`, "Where a variable's value is from.", {
  fieldRef: field(1, objectFieldSelector, { description: "A field of the Pod." }),
  resourceFieldRef: field(2, resourceFieldSelector, { description: "A container's resource." }),
  configMapKeyRef: field(3, configMapKeySelector, { description: "A key of a ConfigMap." }),
  secretKeyRef: field(4, secretKeySelector, { description: "A key of a Secret." }),
  fileKeyRef: field(5, fileKeySelector, { description: "A key of a file of variables." }),
});
export interface EnvVarSource extends ValueOf<typeof envVarSource> {}

export const envVar = message(`${V1}.EnvVar`, "A variable in a container's environment.", {
  name: present(1, string, { required: true, description: "Name of the variable." }),
  value: field(2, string, { description: "Its value; $(NAME) stands for an earlier variable." }),
  valueFrom: field(3, envVarSource, { description: "Where its value is from." }),
});
export interface EnvVar extends ValueOf<typeof envVar> {}

const configMapEnvSource = message(`${V1}.ConfigMapEnvSource`, "All keys of a ConfigMap.", {
  localObjectReference: inline(1, localObjectReference),
  optional: field(2, boolean, { pointer: true }),
});

const secretEnvSource = message(`${V1}.SecretEnvSource`, "All keys of a Secret.", {
  localObjectReference: inline(1, localObjectReference),
  optional: field(2, boolean, { pointer: true }),
});

export const envFromSource = message(`${V1}.EnvFromSource`, "Variables from a whole object.", {
  prefix: field(1, string, { description: "Put before each key." }),
  configMapRef: field(2, configMapEnvSource, { description: "The ConfigMap." }),
  secretRef: field(3, secretEnvSource, { description: "The Secret." }),
});
export interface EnvFromSource extends ValueOf<typeof envFromSource> {}
