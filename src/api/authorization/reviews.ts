import type { ReviewKind } from "../machinery/kind.ts";
import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import { boolean, field, list, map, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const AUTHORIZATION = "io.k8s.api.authorization.v1";

const fieldSelectorRequirement = message(
  "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement",
  "A test of one field.",
  {
    key: present(1, string, { required: true }),
    operator: present(2, string, { required: true }),
    values: field(3, list(string)),
  },
);

const fieldSelectorAttributes = message(
  `${AUTHORIZATION}.FieldSelectorAttributes`,
  "The field selector of a list.",
  {
    rawSelector: field(1, string, { description: "As in the query." }),
    requirements: field(2, list(fieldSelectorRequirement), { description: "All must hold." }),
  },
);

const labelSelectorAttributes = message(
  `${AUTHORIZATION}.LabelSelectorAttributes`,
  "The label selector of a list.",
  {
    rawSelector: field(1, string, { description: "As in the query." }),
    requirements: field(2, list(requirementOfLabels()), { description: "All must hold." }),
  },
);

function requirementOfLabels() {
  return labelSelector.fields.matchExpressions.type.element;
}

const resourceAttributes = message(
  `${AUTHORIZATION}.ResourceAttributes`,
  "A request for a resource.",
  {
    namespace: field(1, string, { description: '"" is all namespaces, or none.' }),
    verb: field(2, string, { description: "get, list, watch, create, ..." }),
    group: field(3, string, { description: "API group." }),
    version: field(4, string, { description: "API version." }),
    resource: field(5, string, { description: "Plural name of the resource." }),
    subresource: field(6, string, { description: "Part of the object." }),
    name: field(7, string, { description: "Name of the object." }),
    fieldSelector: field(8, fieldSelectorAttributes, { description: "Limits a list." }),
    labelSelector: field(9, labelSelectorAttributes, { description: "Limits a list." }),
  },
);

const nonResourceAttributes = message(
  `${AUTHORIZATION}.NonResourceAttributes`,
  "A request for a path that is no resource.",
  {
    path: field(1, string, { description: "The path." }),
    verb: field(2, string, { description: "The method, in lower case." }),
  },
);

const subjectAccessReviewSpec = message(
  `${AUTHORIZATION}.SubjectAccessReviewSpec`,
  "Who wants to do what.",
  {
    resourceAttributes: field(1, resourceAttributes, { description: "What is wanted." }),
    nonResourceAttributes: field(2, nonResourceAttributes, { description: "What is wanted." }),
    user: field(3, string, { description: "Who wants it." }),
    groups: field(4, list(string), { description: "Groups that the user is in." }),
    extra: field(5, map(list(string)), { description: "What else is known of the user." }),
    uid: field(6, string, { description: "UID of the user." }),
  },
);
export interface SubjectAccessReviewSpec extends ValueOf<typeof subjectAccessReviewSpec> {}

const selfSubjectAccessReviewSpec = message(
  `${AUTHORIZATION}.SelfSubjectAccessReviewSpec`,
  "What one wants to do.",
  {
    resourceAttributes: field(1, resourceAttributes, { description: "What is wanted." }),
    nonResourceAttributes: field(2, nonResourceAttributes, { description: "What is wanted." }),
  },
);

const subjectAccessReviewStatus = message(
  `${AUTHORIZATION}.SubjectAccessReviewStatus`,
  "Whether it is allowed.",
  {
    allowed: present(1, boolean, { required: true, description: "Whether it is allowed." }),
    reason: field(2, string, { description: "Why." }),
    evaluationError: field(3, string, { description: "What could not be looked at." }),
    denied: field(4, boolean, { description: "Forbidden whatever else might allow it." }),
  },
);

const STATUS = { description: "The answer." };
const SPEC = { required: true, description: "The question." };

const subjectAccessReview = message(
  `${AUTHORIZATION}.SubjectAccessReview`,
  "Asks whether somebody may do something.",
  {
    ...typeFields,
    metadata: present(1, objectMeta),
    spec: present(2, subjectAccessReviewSpec, SPEC),
    status: field(3, subjectAccessReviewStatus, STATUS),
  },
);
export interface SubjectAccessReview extends ValueOf<typeof subjectAccessReview> {}

const localSubjectAccessReview = message(
  `${AUTHORIZATION}.LocalSubjectAccessReview`,
  "Asks whether somebody may do something in a namespace.",
  {
    ...typeFields,
    metadata: present(1, objectMeta),
    spec: present(2, subjectAccessReviewSpec, SPEC),
    status: field(3, subjectAccessReviewStatus, STATUS),
  },
);

const selfSubjectAccessReview = message(
  `${AUTHORIZATION}.SelfSubjectAccessReview`,
  "Asks whether one may do something.",
  {
    ...typeFields,
    metadata: present(1, objectMeta),
    spec: present(2, selfSubjectAccessReviewSpec, SPEC),
    status: field(3, subjectAccessReviewStatus, STATUS),
  },
);

const resourceRule = message(`${AUTHORIZATION}.ResourceRule`, "Verbs on resources.", {
  verbs: present(1, list(string), { required: true }),
  apiGroups: field(2, list(string)),
  resources: field(3, list(string)),
  resourceNames: field(4, list(string)),
});

const nonResourceRule = message(`${AUTHORIZATION}.NonResourceRule`, "Verbs on paths.", {
  verbs: present(1, list(string), { required: true }),
  nonResourceURLs: field(2, list(string)),
});

const selfSubjectRulesReviewSpec = message(
  `${AUTHORIZATION}.SelfSubjectRulesReviewSpec`,
  "Where one wants to know it.",
  { namespace: field(1, string, { description: "The namespace." }) },
);

const subjectRulesReviewStatus = message(
  `${AUTHORIZATION}.SubjectRulesReviewStatus`,
  "What is allowed.",
  {
    resourceRules: present(1, list(resourceRule), { required: true }),
    nonResourceRules: present(2, list(nonResourceRule), { required: true }),
    incomplete: present(3, boolean, {
      required: true,
      description: "Whether more is allowed than these rules say.",
    }),
    evaluationError: field(4, string, { description: "Why the list is incomplete." }),
  },
);

const selfSubjectRulesReview = message(
  `${AUTHORIZATION}.SelfSubjectRulesReview`,
  "Asks what one may do in a namespace.",
  {
    ...typeFields,
    metadata: present(1, objectMeta),
    spec: present(2, selfSubjectRulesReviewSpec, SPEC),
    status: field(3, subjectRulesReviewStatus, STATUS),
  },
);
export interface SelfSubjectRulesReview extends ValueOf<typeof selfSubjectRulesReview> {}

const COMMON = { group: "authorization.k8s.io", version: "v1" } as const;

export const subjectAccessReviewKind: ReviewKind = {
  ...COMMON,
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  singular: "subjectaccessreview",
  namespaced: false,
  schema: subjectAccessReview,
};

export const localSubjectAccessReviewKind: ReviewKind = {
  ...COMMON,
  kind: "LocalSubjectAccessReview",
  plural: "localsubjectaccessreviews",
  singular: "localsubjectaccessreview",
  namespaced: true,
  schema: localSubjectAccessReview,
};

export const selfSubjectAccessReviewKind: ReviewKind = {
  ...COMMON,
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  singular: "selfsubjectaccessreview",
  namespaced: false,
  schema: selfSubjectAccessReview,
};

export const selfSubjectRulesReviewKind: ReviewKind = {
  ...COMMON,
  kind: "SelfSubjectRulesReview",
  plural: "selfsubjectrulesreviews",
  singular: "selfsubjectrulesreview",
  namespaced: false,
  schema: selfSubjectRulesReview,
};
