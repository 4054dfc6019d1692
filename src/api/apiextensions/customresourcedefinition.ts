import { objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  bytes,
  list,
  message,
  present,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { schemaField } from "./json-schema.ts";

const EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

const names = message(
  `${EXTENSIONS}.CustomResourceDefinitionNames`,
  "What a custom resource is called.",
  {
    plural: present(1, string, {
      required: true,
      description: "Its name in paths, all lower-case.",
    }),
    singular: field(2, string, { description: "Lower-case; by default the kind." }),
    shortNames: field(3, list(string), { description: "Short names for command lines." }),
    kind: present(4, string, { required: true, description: "Its kind, in CamelCase." }),
    listKind: field(5, string, { description: "Kind of its lists; by default the kind and List." }),
    categories: field(6, list(string), { description: "Groups such as all, for command lines." }),
  },
);
export interface CustomResourceDefinitionNames extends ValueOf<typeof names> {}

const column = message(
  `${EXTENSIONS}.CustomResourceColumnDefinition`,
  "A column of tables of the custom resource.",
  {
    name: present(1, string, { required: true, description: "The column's heading." }),
    type: present(2, string, {
      required: true,
      description: "integer, number, string, boolean or date.",
    }),
    format: field(3, string, { description: "Format of the value, as in OpenAPI." }),
    description: field(4, string, { description: "What the column tells." }),
    priority: field(5, int32, { description: "0 is always shown, others only in wide output." }),
    jsonPath: present(6, string, { required: true, description: "Where the value stands." }),
  },
);
export interface CustomResourceColumnDefinition extends ValueOf<typeof column> {}

const scaleSubresource = message(
  `${EXTENSIONS}.CustomResourceSubresourceScale`,
  "How /scale reads and writes the number of replicas.",
  {
    specReplicasPath: present(1, string, {
      required: true,
      description: "Path of the wanted number, under .spec.",
    }),
    statusReplicasPath: present(2, string, {
      required: true,
      description: "Path of the actual number, under .status.",
    }),
    labelSelectorPath: field(3, string, {
      pointer: true,
      description: "Path of the selector as text, under .spec or .status.",
    }),
  },
);

const subresources = message(
  `${EXTENSIONS}.CustomResourceSubresources`,
  "Which subresources are served.",
  {
    status: field(
      1,
      message(`${EXTENSIONS}.CustomResourceSubresourceStatus`, "Serves /status.", {}),
      { description: "Serves /status; the main resource then cannot change the status." },
    ),
    scale: field(2, scaleSubresource, { description: "Serves /scale." }),
  },
);

const validation = message(
  `${EXTENSIONS}.CustomResourceValidation`,
  "What objects must look like.",
  {
    openAPIV3Schema: field(1, schemaField, { description: "A structural schema." }),
  },
);

const selectableField = message(
  `${EXTENSIONS}.SelectableField`,
  "A field that field selectors may name.",
  { jsonPath: present(1, string, { required: true, description: "A simple path to a scalar." }) },
);

const version = message(
  `${EXTENSIONS}.CustomResourceDefinitionVersion`,
  "One version of a custom resource.",
  {
    name: present(1, string, { required: true, description: "e.g. v1beta1." }),
    served: present(2, boolean, { required: true, description: "It is part of the API." }),
    storage: present(3, boolean, {
      required: true,
      description: "Objects are stored in this version; exactly one is.",
    }),
    schema: field(4, validation, { description: "Validation, pruning and defaults." }),
    subresources: field(5, subresources, { description: "Status and scale." }),
    additionalPrinterColumns: field(6, list(column), { description: "Columns of tables." }),
    deprecated: field(7, boolean, { description: "Requests for it are answered with a warning." }),
    deprecationWarning: field(8, string, {
      pointer: true,
      description: "The warning, in place of the usual one.",
    }),
    selectableFields: field(9, list(selectableField), {
      description: "What field selectors may name.",
    }),
  },
);
export interface CustomResourceDefinitionVersion extends ValueOf<typeof version> {}

const serviceReference = message(`${EXTENSIONS}.ServiceReference`, "A Service.", {
  namespace: present(1, string, { required: true }),
  name: present(2, string, { required: true }),
  path: field(3, string, { pointer: true }),
  port: field(4, int32, { pointer: true }),
});

const conversion = message(
  `${EXTENSIONS}.CustomResourceConversion`,
  "How objects become those of another version.",
  {
    strategy: present(1, string, {
      required: true,
      description: "None changes the apiVersion only. Webhook is refused.",
    }),
    webhook: field(
      2,
      message(`${EXTENSIONS}.WebhookConversion`, "A converter outside of the server.", {
        clientConfig: field(
          2,
          message(`${EXTENSIONS}.WebhookClientConfig`, "Where it is reached.", {
            service: field(1, serviceReference),
            caBundle: field(2, bytes),
            url: field(3, string, { pointer: true }),
          }),
        ),
        conversionReviewVersions: field(3, list(string), { required: true }),
      }),
      { description: "For strategy Webhook, which is refused." },
    ),
  },
);

const spec = message(`${EXTENSIONS}.CustomResourceDefinitionSpec`, "What a custom resource is.", {
  group: present(1, string, { required: true, description: "Its API group: a domain." }),
  names: present(3, names, { required: true, description: "What it is called." }),
  scope: present(4, string, { required: true, description: "Namespaced or Cluster." }),
  versions: present(7, list(version), { required: true, description: "All its versions." }),
  conversion: field(9, conversion, { description: "How versions become one another." }),
  preserveUnknownFields: field(10, boolean, { description: "Must be false." }),
});
export interface CustomResourceDefinitionSpec extends ValueOf<typeof spec> {}

const crdCondition = message(
  `${EXTENSIONS}.CustomResourceDefinitionCondition`,
  "One aspect of the state of a definition.",
  {
    type: present(1, string, {
      required: true,
      description: "Established, NamesAccepted or Terminating.",
    }),
    status: present(2, string, { required: true, description: "True, False or Unknown." }),
    lastTransitionTime: field(3, time, { description: "When status last changed." }),
    reason: field(4, string, { description: "One CamelCase word for programs." }),
    message: field(5, string, { description: "A sentence for people." }),
  },
);
export interface CustomResourceDefinitionCondition extends ValueOf<typeof crdCondition> {}

const status = message(
  `${EXTENSIONS}.CustomResourceDefinitionStatus`,
  "What has become of a definition.",
  {
    conditions: field(1, list(crdCondition, { listType: "map", mapKeys: ["type"] }), {
      description: "Whether it is served.",
    }),
    acceptedNames: field(2, names, { description: "The names that are served." }),
    storedVersions: field(3, list(string), {
      description: "Versions in which objects may be stored.",
    }),
  },
);
export interface CustomResourceDefinitionStatus extends ValueOf<typeof status> {}

export const customResourceDefinition = message(
  `${EXTENSIONS}.CustomResourceDefinition`,
  "Adds a resource to the API. Its name is PLURAL.GROUP.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, spec, { required: true, description: "What the resource is." }),
    status: field(3, status, { description: "Whether it is served." }),
  },
);
export interface CustomResourceDefinition extends ValueOf<typeof customResourceDefinition> {}
