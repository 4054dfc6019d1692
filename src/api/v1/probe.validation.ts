import { forbidden, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import {
  validateOneOf,
  validatePortNumber,
  validatePortNumberOrName,
} from "../machinery/value.validation.ts";
import type { Container } from "./container.ts";
import type { Lifecycle, Probe } from "./probe.ts";

const SCHEMES = ["HTTP", "HTTPS"] as const;
const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;

type Handler = NonNullable<Lifecycle["preStop"]> & Pick<Probe, "grpc">;

export function validateProbes(
  container: Container,
  path: string,
  isInit: boolean,
): readonly FieldError[] {
  const { livenessProbe, readinessProbe, startupProbe } = container;
  const probes = { livenessProbe, readinessProbe, startupProbe };
  return Object.entries(probes).flatMap(([key, probe]) => {
    if (probe === undefined) return [];
    const at = `${path}.${key}`;
    if (isInit && container.restartPolicy !== "Always") {
      return [forbidden(at, "may not be set for init containers without restartPolicy=Always")];
    }
    return validateProbe(probe, at, key !== "readinessProbe");
  });
}

function validateProbe(probe: Probe, path: string, mustSucceedOnce: boolean): FieldError[] {
  const errors = [...validateHandler(probe, path)];
  for (const key of [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const) {
    errors.push(...validateNonNegative(probe[key], `${path}.${key}`));
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, "must be greater than 0"));
  }
  if (mustSucceedOnce && probe.successThreshold !== undefined && probe.successThreshold !== 1) {
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold, "must be 1"));
  }
  return errors;
}

export function validateLifecycle(lifecycle: Lifecycle, path: string): readonly FieldError[] {
  const { postStart, preStop } = lifecycle;
  return Object.entries({ postStart, preStop }).flatMap(([key, handler]) =>
    handler === undefined ? [] : validateHandler(handler, `${path}.${key}`),
  );
}

function validateHandler(handler: Handler, path: string): readonly FieldError[] {
  const named = HANDLERS.filter((key) => handler[key] !== undefined);
  if (named.length === 0) return [required(path, "must specify a handler type")];
  const errors: FieldError[] = named
    .slice(1)
    .map((key) => forbidden(`${path}.${key}`, "may not specify more than 1 handler type"));
  const { exec, httpGet, tcpSocket, grpc } = handler;
  if (exec !== undefined && (exec.command ?? []).length === 0) {
    errors.push(required(`${path}.exec.command`));
  }
  if (httpGet !== undefined) {
    if (!httpGet.path) errors.push(required(`${path}.httpGet.path`));
    errors.push(
      ...validatePortNumberOrName(httpGet.port, `${path}.httpGet.port`),
      ...validateOneOf(httpGet.scheme, SCHEMES, `${path}.httpGet.scheme`),
      ...(httpGet.httpHeaders ?? []).flatMap(({ name }, i) =>
        /^[-A-Za-z0-9]+$/.test(name)
          ? []
          : [
              invalid(
                `${path}.httpGet.httpHeaders[${String(i)}].name`,
                name,
                "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
              ),
            ],
      ),
    );
  }
  if (tcpSocket !== undefined) {
    errors.push(...validatePortNumberOrName(tcpSocket.port, `${path}.tcpSocket.port`));
  }
  if (grpc !== undefined) errors.push(...validatePortNumber(grpc.port, `${path}.grpc.port`));
  return errors;
}
