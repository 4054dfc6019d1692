import {
  field,
  inline,
  int32,
  int64,
  intOrString,
  list,
  message,
  present,
  string,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

const execAction = message(`${V1}.ExecAction`, "Runs a command in the container.", {
  command: field(1, list(string), { description: "Program and arguments; no shell." }),
});
export interface ExecAction extends ValueOf<typeof execAction> {}

const httpHeader = message(`${V1}.HTTPHeader`, "A header of a request.", {
  name: present(1, string, { required: true }),
  value: present(2, string, { required: true }),
});

const httpGetAction = message(`${V1}.HTTPGetAction`, "Sends an HTTP GET request.", {
  path: field(1, string, { description: "Path of the URL." }),
  port: present(2, intOrString, { required: true, description: "Number or name of the port." }),
  host: field(3, string, { description: "Where to connect; the Pod's address by default." }),
  scheme: field(4, string, { description: "HTTP or HTTPS." }),
  httpHeaders: field(5, list(httpHeader), { description: "Headers to send." }),
});
export interface HTTPGetAction extends ValueOf<typeof httpGetAction> {}

const tcpSocketAction = message(`${V1}.TCPSocketAction`, "Opens a TCP connection.", {
  port: present(1, intOrString, { required: true, description: "Number or name of the port." }),
  host: field(2, string, { description: "Where to connect; the Pod's address by default." }),
});
export interface TCPSocketAction extends ValueOf<typeof tcpSocketAction> {}

const grpcAction = message(`${V1}.GRPCAction`, "Asks the gRPC health service.", {
  port: present(1, int32, { required: true, description: "Number of the port." }),
  service: field(2, string, { pointer: true, description: "Service to ask for.", default: "" }),
});
export interface GRPCAction extends ValueOf<typeof grpcAction> {}

const sleepAction = message(`${V1}.SleepAction`, "Waits.", {
  seconds: present(1, int64, { required: true }),
});

const probeHandler = message(`${V1}.ProbeHandler`, "How a probe asks.", {
  exec: field(1, execAction, { description: "Runs a command; exit code 0 is success." }),
  httpGet: field(2, httpGetAction, { description: "HTTP GET; 200 to 399 is success." }),
  tcpSocket: field(3, tcpSocketAction, { description: "Connects; an open port is success." }),
  grpc: field(4, grpcAction, { description: "Asks the gRPC health service." }),
});

export const probe = message(`${V1}.Probe`, "A check of a container.", {
  handler: inline(1, probeHandler),
  initialDelaySeconds: field(2, int32, { description: "Seconds from start to the first check." }),
  timeoutSeconds: field(3, int32, { description: "Seconds until a check fails; 1 by default." }),
  periodSeconds: field(4, int32, { description: "Seconds between checks; 10 by default." }),
  successThreshold: field(5, int32, { description: "Successes in a row that count; 1." }),
  failureThreshold: field(6, int32, { description: "Failures in a row that count; 3." }),
  terminationGracePeriodSeconds: field(7, int64, {
    pointer: true,
    description: "Seconds of grace when a failed check ends the container.",
  }),
});
export interface Probe extends ValueOf<typeof probe> {}

const lifecycleHandler = message(`${V1}.LifecycleHandler`, "What a hook does.", {
  exec: field(1, execAction),
  httpGet: field(2, httpGetAction),
  tcpSocket: field(3, tcpSocketAction),
  sleep: field(4, sleepAction),
});

export const lifecycle = message(`${V1}.Lifecycle`, "Hooks of a container's life.", {
  postStart: field(1, lifecycleHandler, { description: "Right after the start." }),
  preStop: field(2, lifecycleHandler, { description: "Before the container is told to stop." }),
  stopSignal: field(3, string, {
    pointer: true,
    description: "Signal that asks it to stop; SIGTERM.",
  }),
});
export interface Lifecycle extends ValueOf<typeof lifecycle> {}
