import { encodeBase64 } from "../machinery/base64.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { encodeUtf8 } from "../machinery/utf8.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import {
  base64Length,
  validateDataKeys,
  validateDataSize,
  validateImmutable,
} from "./data.validation.ts";
import { secret } from "./secret.ts";
import type { Secret } from "./secret.ts";

/** Keys that a Secret of a well-known type must have. */
const KEYS_OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};
const TOKEN_TYPE = "kubernetes.io/service-account-token";
const TOKEN_ANNOTATION = "kubernetes.io/service-account.name";

/** Puts stringData into data, where it wins, and names the type. */
function defaultSecret(object: Secret): Secret {
  const { stringData, ...rest } = withZeroValues(secret, object);
  const typed: Secret = { ...rest, type: rest.type || "Opaque" };
  if (stringData === undefined) return typed;
  const encoded = Object.entries(stringData).map(([key, text]) => [
    key,
    encodeBase64(encodeUtf8(text)),
  ]);
  return { ...typed, data: { ...typed.data, ...Object.fromEntries(encoded) } };
}

function validate(object: Secret): readonly FieldError[] {
  const data = object.data ?? {};
  const errors = [...validateDataKeys(data, "data")];
  const bytes = Object.values(data).reduce((sum, text) => sum + base64Length(text), 0);
  errors.push(...validateDataSize(bytes, "data"));
  // A type is any text, so it may be the name of what every object inherits.
  const keys = Object.hasOwn(KEYS_OF_TYPE, object.type) ? KEYS_OF_TYPE[object.type] : undefined;
  for (const key of keys ?? []) {
    if (!Object.hasOwn(data, key)) errors.push(required(`data[${key}]`));
  }
  if (object.type === TOKEN_TYPE && !object.metadata.annotations?.[TOKEN_ANNOTATION]) {
    errors.push(required(`metadata.annotations[${TOKEN_ANNOTATION}]`));
  }
  if (object.type === "kubernetes.io/basic-auth") {
    const hasOne = Object.hasOwn(data, "username") || Object.hasOwn(data, "password");
    if (!hasOne) errors.push(required("data[username]"), required("data[password]"));
  }
  return errors;
}

function validateUpdate(object: Secret, old: Secret): readonly FieldError[] {
  const errors =
    object.type === old.type ? [] : [invalid("type", object.type, "field is immutable")];
  return [...errors, ...validateImmutable(object, old, ["data"]), ...validate(object)];
}

export const secretKind: KindDefinition<Secret> = {
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: secret,
  columns: [
    NAME_COLUMN,
    {
      name: "Type",
      type: "string",
      description: "What the data is for.",
      priority: 0,
      cell: (object) => object.type,
    },
    {
      name: "Data",
      type: "string",
      description: "Number of keys.",
      priority: 0,
      cell: (object) => Object.keys(object.data ?? {}).length,
    },
    AGE_COLUMN,
  ],
  selectableFields: [{ path: "type", value: (object) => object.type }],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: defaultSecret,
    validateCreate: validate,
    validateUpdate,
  },
};
