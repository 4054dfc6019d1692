import { tokenReviewKind } from "../api/authentication/reviews.ts";
import type { TokenReview, UserInfo } from "../api/authentication/reviews.ts";
import type {
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
} from "../api/authorization/reviews.ts";
import { invalid, required } from "../api/machinery/field-error.ts";
import type { FieldError } from "../api/machinery/field-error.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import type { ReviewKind } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { PolicyRule } from "../api/rbac/rule.ts";
import { resourceAttributes } from "../core/authorization/attributes.ts";
import type { Attributes, Subject } from "../core/authorization/attributes.ts";
import { NODE_RULES, nodeNameOf } from "../core/authorization/node.ts";
import { rulesOf } from "../core/authorization/rbac.ts";
import { decodeBody } from "./body.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiRequest, ApiResponse, User } from "./exchange.ts";
import { badRequest, invalidObject, methodNotAllowed } from "./failures.ts";
import { parseWriteQuery } from "./query.ts";
import type { ReviewRoute } from "./routes.ts";
import type { Security } from "./security.ts";

interface ReviewCall {
  readonly security: Security;
  readonly kind: ReviewKind;
  readonly user: User;
  readonly namespace: string;
  /** Decoded by the schema of the kind. */
  readonly object: KubernetesObject;
}

/** Gives the status of the answer. */
type Answer = (call: ReviewCall) => object | Promise<object>;

const ANSWERS: Readonly<Record<string, Answer>> = {
  tokenreviews: reviewToken,
  selfsubjectreviews: ({ user }) => ({ userInfo: userInfo(user) }),
  selfsubjectrulesreviews: reviewRules,
  selfsubjectaccessreviews: (call) => {
    const { spec } = call.object as SubjectAccessReview;
    return reviewAccess(call, spec ?? {}, call.user, []);
  },
  subjectaccessreviews: reviewOther,
  localsubjectaccessreviews: reviewOther,
};

/**
 * Answers a question that is asked by creating an object which is not stored.
 * @throws StatusError 400 and 422 for a question that cannot be answered, 405 for other methods.
 */
export async function answerReview(
  security: Security,
  request: ApiRequest,
  user: User,
  { definition: kind, namespace }: ReviewRoute,
  query: URLSearchParams,
): Promise<ApiResponse> {
  if (request.method !== "POST") throw methodNotAllowed();
  const { fieldValidation } = parseWriteQuery(query);
  const type = { apiVersion: apiVersionOf(kind), kind: kind.kind, schema: kind.schema };
  const { object } = await decodeBody(request, type, fieldValidation);
  const answer = ANSWERS[kind.plural];
  if (answer === undefined) throw new Error(`nobody answers ${kind.plural}`);
  const status = await answer({ security, kind, user, namespace, object });
  const { apiVersion, kind: name, metadata, ...rest } = object;
  return jsonResponse(201, {
    kind: name,
    apiVersion,
    metadata: {
      ...metadata,
      ...(kind.namespaced ? { namespace } : {}),
      creationTimestamp: metadata.creationTimestamp ?? null,
    },
    ...rest,
    status,
  });
}

function userInfo({ name, uid, groups, extra }: User): UserInfo {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups,
    ...(extra === undefined ? {} : { extra }),
  };
}

async function reviewToken({ security, object }: ReviewCall): Promise<object> {
  const { spec } = object as TokenReview;
  const token = spec?.token ?? "";
  if (token === "") throw badRequest("token is required for TokenReview in authentication");
  const asked = spec?.audiences ?? [];
  const audiences = asked.length === 0 ? [security.tokens.issuer] : asked;
  const found = await security.authenticator.byToken(token, audiences);
  if (found === undefined) {
    const { group } = tokenReviewKind;
    return { user: {}, error: `the token is not one of this cluster, or no longer (${group})` };
  }
  return {
    authenticated: true,
    user: userInfo(found.user),
    audiences: found.audiences,
  };
}

function reviewOther(call: ReviewCall): object {
  const spec = (call.object as SubjectAccessReview).spec ?? {};
  const errors: FieldError[] = [];
  if ((spec.user ?? "") === "" && (spec.groups ?? []).length === 0) {
    errors.push(
      invalid("spec.user", spec.user ?? "", "at least one of user or group must be specified"),
    );
  }
  if (call.kind.namespaced) {
    const namespace = spec.resourceAttributes?.namespace ?? "";
    if (namespace !== call.namespace) {
      errors.push(
        invalid("spec.resourceAttributes.namespace", namespace, "must match metadata.namespace"),
      );
    }
    if (spec.nonResourceAttributes !== undefined) {
      errors.push(
        invalid(
          "spec.nonResourceAttributes",
          spec.nonResourceAttributes,
          "disallowed on this kind of request",
        ),
      );
    }
  }
  return reviewAccess(call, spec, { name: spec.user ?? "", groups: spec.groups ?? [] }, errors);
}

/** Source: upstream `pkg/registry/authorization` and its validation. */
function reviewAccess(
  { security, kind }: ReviewCall,
  spec: SubjectAccessReviewSpec,
  subject: Subject,
  others: readonly FieldError[],
): object {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  const errors = [...others];
  if ((resource === undefined) === (path === undefined)) {
    errors.push(
      invalid(
        "spec.resourceAttributes",
        resource ?? null,
        resource === undefined
          ? "exactly one of nonResourceAttributes or resourceAttributes must be specified"
          : "cannot be specified in combination with nonResourceAttributes",
      ),
    );
  }
  if (errors.length > 0) throw invalidObject(kind, "", errors);
  const { kind: outcome, reason } = security.authorizer.decide(subject, wantedBy(spec));
  return {
    allowed: outcome === "allow",
    ...(outcome === "deny" ? { denied: true } : {}),
    ...(reason === "" ? {} : { reason }),
  };
}

function wantedBy({
  resourceAttributes: resource,
  nonResourceAttributes: path,
}: SubjectAccessReviewSpec): Attributes {
  if (resource === undefined) {
    return { kind: "path", verb: path?.verb ?? "", path: path?.path ?? "" };
  }
  const { verb = "", group = "", version = "", resource: plural = "", subresource = "" } = resource;
  const { namespace = "", name = "", fieldSelector } = resource;
  const exact = (fieldSelector?.requirements ?? []).flatMap(({ key, operator, values = [] }) => {
    const [value] = values;
    return operator === "In" && values.length === 1 && value !== undefined
      ? [[key, value] as const]
      : [];
  });
  const selects = new Map(exact);
  const rest = { version, subresource, namespace, name, selects };
  return resourceAttributes({ verb, group, resource: plural, ...rest });
}

function reviewRules({ security, kind, user, object }: ReviewCall): object {
  const namespace = (object as SelfSubjectRulesReview).spec?.namespace ?? "";
  if (namespace === "") {
    throw invalidObject(kind, "", [required("spec.namespace", "no namespace on request")]);
  }
  const isNode = nodeNameOf(user) !== undefined;
  const { rules, error } = rulesOf(security.authorizer.policy, user, namespace);
  const all: readonly PolicyRule[] = isNode ? [...NODE_RULES, ...rules] : rules;
  const errors = [isNode ? "node authorizer does not support user rule resolution" : "", error];
  const evaluationError = errors.filter((one) => one !== "").join(", ");
  return {
    resourceRules: all
      .filter(({ resources = [] }) => resources.length > 0)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs,
        apiGroups,
        resources,
        resourceNames,
      })),
    nonResourceRules: all.flatMap(({ verbs, nonResourceURLs = [] }) =>
      nonResourceURLs.length === 0 ? [] : [{ verbs, nonResourceURLs }],
    ),
    incomplete: evaluationError !== "",
    ...(evaluationError === "" ? {} : { evaluationError }),
  };
}
