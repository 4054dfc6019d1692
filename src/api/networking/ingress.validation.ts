import { dnsLabelProblems, dnsSubdomainProblems } from "../../net/names.ts";
import { parseIpAddress } from "../../net/address.ts";
import { forbidden, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import {
  validateDnsSubdomain,
  validateOneOf,
  validatePortNumber,
  validatePortNumberOrName,
} from "../machinery/value.validation.ts";
import type { Ingress, IngressClass } from "./ingress.ts";

type Backend = NonNullable<Ingress["spec"]["defaultBackend"]>;
type Rule = NonNullable<Ingress["spec"]["rules"]>[number];
type Path = NonNullable<Rule["http"]>["paths"][number];

const PATH_TYPES = ["Exact", "Prefix", "ImplementationSpecific"] as const;
/** Upstream `invalidPathSequences` and `invalidPathSuffixes`. */
const BAD_SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS = ["/..", "/."];

/** Source of rules and texts: upstream `pkg/apis/networking/validation/validation.go`, `ValidateIngressSpec`. */
export function validateIngress({ spec }: Ingress): readonly FieldError[] {
  const { rules = [], defaultBackend, tls = [], ingressClassName } = spec;
  if (rules.length === 0 && defaultBackend === undefined) {
    const text = "either `defaultBackend` or `rules` must be specified";
    return [invalid("spec", [], text)];
  }
  return [
    ...(defaultBackend === undefined ? [] : validateBackend(defaultBackend, "spec.defaultBackend")),
    ...rules.flatMap((rule, i) => validateRule(rule, `spec.rules[${String(i)}]`)),
    ...tls.flatMap(({ hosts = [] }, i) =>
      hosts.flatMap((host, j) => validateHost(host, `spec.tls[${String(i)}].hosts[${String(j)}]`)),
    ),
    ...(ingressClassName === undefined
      ? []
      : validateDnsSubdomain(ingressClassName, "spec.ingressClassName")),
  ];
}

function validateRule({ host = "", http }: Rule, path: string): readonly FieldError[] {
  return [
    ...(host === "" ? [] : validateHost(host, `${path}.host`)),
    ...(http?.paths ?? []).flatMap((one, i) =>
      validatePath(one, `${path}.http.paths[${String(i)}]`),
    ),
    ...(http !== undefined && http.paths.length === 0 ? [required(`${path}.http.paths`)] : []),
  ];
}

/** A name, or one whose first label is `*`. */
function validateHost(host: string, path: string): readonly FieldError[] {
  if (parseIpAddress(host) !== undefined) {
    return [invalid(path, host, "must be a DNS name, not an IP address")];
  }
  if (!host.includes("*")) {
    return dnsSubdomainProblems(host).map((problem) => invalid(path, host, problem));
  }
  const isWildcard = host.startsWith("*.") && dnsSubdomainProblems(host.slice(2)).length === 0;
  if (isWildcard) return [];
  const text =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\\\*\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
  return [invalid(path, host, text)];
}

function validatePath(
  { path: text = "", pathType, backend }: Path,
  path: string,
): readonly FieldError[] {
  if (pathType === "") return [required(`${path}.pathType`, "pathType must be specified")];
  const errors: FieldError[] = [...validateOneOf(pathType, PATH_TYPES, `${path}.pathType`)];
  const at = `${path}.path`;
  if (pathType === "Exact" || pathType === "Prefix") {
    if (!text.startsWith("/")) errors.push(invalid(at, text, "must be an absolute path"));
    for (const bad of text === "" ? [] : BAD_SEQUENCES) {
      if (text.includes(bad)) errors.push(invalid(at, text, `must not contain '${bad}'`));
    }
    for (const bad of BAD_ENDS) {
      if (text.endsWith(bad)) errors.push(invalid(at, text, `cannot end with '${bad}'`));
    }
  } else if (text !== "" && !text.startsWith("/")) {
    errors.push(invalid(at, text, "must be an absolute path"));
  }
  return [...errors, ...validateBackend(backend, `${path}.backend`)];
}

function validateBackend({ service, resource }: Backend, path: string): readonly FieldError[] {
  if (service !== undefined && resource !== undefined) {
    return [invalid(path, "", "cannot set both resource and service backends")];
  }
  if (service === undefined && resource === undefined) {
    return [required(path, "resource or service backend is required")];
  }
  if (service === undefined) return [];
  const { name, port } = service;
  const at = `${path}.service`;
  const nameErrors =
    name === ""
      ? [required(`${at}.name`)]
      : dnsLabelProblems(name).map((problem) => invalid(`${at}.name`, name, problem));
  const { name: portName = "", number = 0 } = port ?? {};
  if (portName !== "" && number !== 0) {
    return [...nameErrors, forbidden(`${at}.port`, "cannot set both port name & port number")];
  }
  if (portName !== "") {
    return [...nameErrors, ...validatePortNumberOrName(portName, `${at}.port.name`)];
  }
  if (number !== 0) return [...nameErrors, ...validatePortNumber(number, `${at}.port.number`)];
  return [...nameErrors, required(`${at}.port`, "port name or number is required")];
}

/** Upstream `ValidateIngressClass`. */
export function validateIngressClass({ spec }: IngressClass): readonly FieldError[] {
  const { controller = "", parameters } = spec;
  const errors: FieldError[] = [];
  if (controller === "") errors.push(required("spec.controller"));
  else if (controller.length > 250 || !/^[^/]+\/.+$/.test(controller)) {
    const text = 'must be a domain-prefixed path (such as "acme.io/foo")';
    errors.push(invalid("spec.controller", controller, text));
  }
  if (parameters === undefined) return errors;
  if (parameters.kind === "") errors.push(required("spec.parameters.kind", "kind is required"));
  if (parameters.name === "") errors.push(required("spec.parameters.name", "name is required"));
  return errors;
}
