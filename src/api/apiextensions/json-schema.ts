import type { JsonObject } from "../machinery/json.ts";
import {
  boolean,
  double,
  field,
  int64,
  json,
  lazy,
  list,
  map,
  message,
  string,
} from "../machinery/schema.ts";
import type { Fields, MessageType } from "../machinery/schema.ts";

const EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/** A schema within a schema. */
const self = lazy((): MessageType => jsonSchemaProps);
const flag = { description: "Off unless true." } as const;
const number = { pointer: true } as const;

const externalDocumentation = message(
  `${EXTENSIONS}.ExternalDocumentation`,
  "Where more is written.",
  { description: field(1, string), url: field(2, string) },
);

const validationRule = message(
  `${EXTENSIONS}.ValidationRule`,
  "A rule in the CEL language. Kept and published, not evaluated.",
  {
    rule: field(1, string, { required: true, description: "The expression." }),
    message: field(2, string, { description: "What to say when it does not hold." }),
    messageExpression: field(3, string, { description: "An expression that gives the message." }),
    reason: field(4, string, { description: "A machine-readable reason." }),
    fieldPath: field(5, string, { description: "The field that the failure is told of." }),
    optionalOldSelf: field(6, boolean, { pointer: true }),
  },
);

/**
 * The schema of schemas (JSONSchemaProps). `items` and `additionalProperties` are opaque here, as upstream
 * publishes them: each is a schema, or something else (a list, a boolean), so {@link readSubschema} reads them.
 */
export const jsonSchemaProps = message<Fields>(
  `${EXTENSIONS}.JSONSchemaProps`,
  "A JSON schema, draft 4, as far as structural schemas go.",
  {
    id: field(1, string),
    $schema: field(2, string),
    $ref: field(3, string, { pointer: true }),
    description: field(4, string),
    type: field(5, string, { description: "object, array, string, integer, number or boolean." }),
    format: field(6, string, { description: "A format of text; unknown ones are ignored." }),
    title: field(7, string),
    default: field(8, json, { ...number, description: "Value of a field that is absent." }),
    maximum: field(9, double, number),
    exclusiveMaximum: field(10, boolean, flag),
    minimum: field(11, double, number),
    exclusiveMinimum: field(12, boolean, flag),
    maxLength: field(13, int64, number),
    minLength: field(14, int64, number),
    pattern: field(15, string, { description: "A regular expression in RE2's syntax." }),
    maxItems: field(16, int64, number),
    minItems: field(17, int64, number),
    uniqueItems: field(18, boolean, flag),
    multipleOf: field(19, double, number),
    enum: field(20, list(json)),
    maxProperties: field(21, int64, number),
    minProperties: field(22, int64, number),
    required: field(23, list(string)),
    items: field(24, json, number),
    allOf: field(25, list(self)),
    oneOf: field(26, list(self)),
    anyOf: field(27, list(self)),
    not: field(28, self),
    properties: field(29, map(self)),
    additionalProperties: field(30, json, number),
    patternProperties: field(31, map(self)),
    dependencies: field(32, map(json)),
    additionalItems: field(33, json, number),
    definitions: field(34, map(self)),
    externalDocs: field(35, externalDocumentation),
    example: field(36, json, number),
    nullable: field(37, boolean, flag),
    "x-kubernetes-preserve-unknown-fields": field(38, boolean, number),
    "x-kubernetes-embedded-resource": field(39, boolean, flag),
    "x-kubernetes-int-or-string": field(40, boolean, flag),
    "x-kubernetes-list-map-keys": field(41, list(string)),
    "x-kubernetes-list-type": field(42, string, number),
    "x-kubernetes-map-type": field(43, string, number),
    "x-kubernetes-validations": field(
      44,
      list(validationRule, { listType: "map", mapKeys: ["rule"], mergeKey: "rule" }),
    ),
  },
);

type Subschemas = Readonly<Record<string, JsonSchemaProps>>;

/** The static type of {@link jsonSchemaProps}, which contains itself. */
export interface JsonSchemaProps {
  readonly id?: string;
  readonly $schema?: string;
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly title?: string;
  readonly default?: unknown;
  readonly maximum?: number;
  readonly exclusiveMaximum?: boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly multipleOf?: number;
  readonly enum?: readonly unknown[];
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  /** A schema, or a list of schemas, which no structural schema may have. */
  readonly items?: unknown;
  readonly allOf?: readonly JsonSchemaProps[];
  readonly oneOf?: readonly JsonSchemaProps[];
  readonly anyOf?: readonly JsonSchemaProps[];
  readonly not?: JsonSchemaProps;
  readonly properties?: Subschemas;
  /** A schema, or whether properties beside the declared ones are allowed. */
  readonly additionalProperties?: unknown;
  readonly patternProperties?: Subschemas;
  readonly dependencies?: JsonObject;
  readonly additionalItems?: unknown;
  readonly definitions?: Subschemas;
  readonly externalDocs?: JsonObject;
  readonly example?: unknown;
  readonly nullable?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-map-type"?: string;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string }[];
}

/** A schema as part of the definition of a version. */
export const schemaField = self;
