import { resolve } from "node:path";

export const PROGRAM = resolve(import.meta.dirname, "pod-program.mjs");

/** A container or Pod spec as a test writes it down; the server checks it. */
type Fields = Readonly<Record<string, unknown>>;

/** A Pod with one container `main`, ended at once when it is deleted. */
export function pod(
  name: string,
  container: Fields,
  spec: Fields = {},
  labels: Fields = {},
): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...spec,
      containers: [{ name: "main", ...container }],
    },
  });
}

/** A Pod that runs a line of shell. */
export function shellPod(
  name: string,
  line: string,
  container: Fields = {},
  spec: Fields = {},
): string {
  return pod(name, { command: ["sh", "-c", line], ...container }, spec);
}

/** A Pod that tells its name over HTTP on port 8080 and UDP on port 8081. */
export function namePod(
  name: string,
  app: string,
  container: Fields = {},
  spec: Fields = {},
): string {
  const env = [
    { name: "TCP_PORT", value: "8080" },
    { name: "UDP_PORT", value: "8081" },
  ];
  return pod(
    name,
    {
      command: [process.execPath, PROGRAM],
      env,
      ports: [
        { name: "http", containerPort: 8080 },
        { name: "echo", containerPort: 8081, protocol: "UDP" },
      ],
      readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 1 },
      ...container,
    },
    spec,
    { app },
  );
}

/** A Service over port 8000 (HTTP) of the Pods with this label `app`; anybody may bind that port. */
export function service(name: string, app: string, spec: Fields = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app }, ports: [{ name: "http", port: 8000, targetPort: "http" }], ...spec },
  });
}

/** Several objects for one `kubectl create -f -`. */
export function all(...objects: readonly string[]): string {
  return objects.join("\n");
}
