import type { ReviewKind } from "../machinery/kind.ts";
import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { boolean, field, list, map, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const AUTHENTICATION = "io.k8s.api.authentication.v1";

const userInfo = message(`${AUTHENTICATION}.UserInfo`, "Who somebody is.", {
  username: field(1, string, { description: "Name, unique among all users." }),
  uid: field(2, string, { description: "Tells users of one name apart in time." }),
  groups: field(3, list(string), { description: "Groups that the user is in." }),
  extra: field(4, map(list(string)), { description: "What else is known." }),
});
export interface UserInfo extends ValueOf<typeof userInfo> {}

const tokenReviewSpec = message(`${AUTHENTICATION}.TokenReviewSpec`, "The token in question.", {
  token: field(1, string, { description: "The token." }),
  audiences: field(2, list(string), {
    description: "Who was shown the token; default the API server.",
  }),
});

const tokenReviewStatus = message(`${AUTHENTICATION}.TokenReviewStatus`, "Whose token it is.", {
  authenticated: field(1, boolean, { description: "Whether the token is good." }),
  user: field(2, userInfo, { description: "Whose token it is." }),
  error: field(3, string, { description: "Why it could not be told." }),
  audiences: field(4, list(string), { description: "Those in question whom the token is for." }),
});

const tokenReview = message(`${AUTHENTICATION}.TokenReview`, "Asks whose a token is.", {
  ...typeFields,
  metadata: present(1, objectMeta),
  spec: present(2, tokenReviewSpec, { required: true, description: "The question." }),
  status: field(3, tokenReviewStatus, { description: "The answer." }),
});
export interface TokenReview extends ValueOf<typeof tokenReview> {}

const selfSubjectReviewStatus = message(`${AUTHENTICATION}.SelfSubjectReviewStatus`, "Who asks.", {
  userInfo: field(1, userInfo, { description: "Who asks." }),
});

const selfSubjectReview = message(`${AUTHENTICATION}.SelfSubjectReview`, "Asks who one is.", {
  ...typeFields,
  metadata: present(1, objectMeta),
  status: field(2, selfSubjectReviewStatus, { description: "The answer." }),
});

export const tokenReviewKind: ReviewKind = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  singular: "tokenreview",
  namespaced: false,
  schema: tokenReview,
};

export const selfSubjectReviewKind: ReviewKind = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "SelfSubjectReview",
  plural: "selfsubjectreviews",
  singular: "selfsubjectreview",
  namespaced: false,
  schema: selfSubjectReview,
};
