import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int64, list, message, present, string, time } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const AUTHENTICATION = "io.k8s.api.authentication.v1";

const boundObjectReference = message(
  `${AUTHENTICATION}.BoundObjectReference`,
  "An object with which a token ends.",
  {
    kind: field(1, string, { description: "Pod, Secret or Node." }),
    apiVersion: field(2, string, { description: "v1." }),
    name: field(3, string, { description: "Its name." }),
    uid: field(4, string, { description: "Its UID; any when absent." }),
  },
);

const tokenRequestSpec = message(
  `${AUTHENTICATION}.TokenRequestSpec`,
  "The token that is wanted.",
  {
    audiences: field(1, list(string), {
      description: "Who is to take the token; default the API server.",
    }),
    boundObjectRef: field(3, boundObjectReference, {
      description: "An object with which the token ends.",
    }),
    expirationSeconds: field(4, int64, {
      pointer: true,
      description: "How long the token is to be good; default 3600.",
    }),
  },
);
export interface TokenRequestSpec extends ValueOf<typeof tokenRequestSpec> {}

const tokenRequestStatus = message(`${AUTHENTICATION}.TokenRequestStatus`, "The token.", {
  token: present(1, string, { required: true, description: "The token, a JWT." }),
  expirationTimestamp: present(2, time, { required: true, description: "When it ends." }),
});

export const tokenRequest = message(
  `${AUTHENTICATION}.TokenRequest`,
  "Asks for a token of a ServiceAccount.",
  {
    ...typeFields,
    metadata: present(1, objectMeta),
    spec: present(2, tokenRequestSpec, { required: true, description: "The token wanted." }),
    status: field(3, tokenRequestStatus, { description: "The token given." }),
  },
);
export interface TokenRequest extends ValueOf<typeof tokenRequest> {}
