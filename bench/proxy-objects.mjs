// Services and EndpointSlices as the benches of the proxy load them.

/** The address of Service `i`: all differ, up to a million of them. */
export function serviceAddress(i) {
  return `10.${String(128 + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}`;
}

export function podAddress(service, endpoint, perService) {
  const n = service * perService + endpoint + 65_536;
  return `10.${String(1 + (n >> 16))}.${String((n >> 8) & 255)}.${String(n & 255)}`;
}

/** Where endpoints are: the networks of the benches have a Pod that answers at all of it. */
export const POD_RANGE = "10.0.0.0/12";

/** The same, but that those of Service 0 are in 10.1.0.0/16, where those of others are not. */
export function reachableAddress(service, endpoint, perService) {
  const n = endpoint + 1;
  return service === 0 ? `10.1.${String(n >> 8)}.${String(n & 255)}` : podAddress(service, endpoint, perService);
}

/** Each a Service and its slices of 100 endpoints, with what the proxy reads of them and no more. */
export function objects(services, endpoints, spec = {}, address = podAddress) {
  return Array.from({ length: services }, (_, i) => object(i, endpoints, spec, address));
}

export function reachable(services, endpoints, spec) {
  return objects(services, endpoints, spec, reachableAddress);
}

function object(i, endpoints, spec, address) {
  const name = `service-${String(i)}`;
  const vip = serviceAddress(i);
  const slices = [];
  for (let at = 0; at < endpoints; at += 100) {
    slices.push({
      metadata: {
        name: `${name}-${String(at)}`,
        namespace: "default",
        labels: { "kubernetes.io/service-name": name },
      },
      addressType: "IPv4",
      endpoints: Array.from({ length: Math.min(100, endpoints - at) }, (_, j) => ({
        addresses: [address(i, at + j, endpoints)],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: "there",
      })),
      ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    });
  }
  const service = {
    metadata: { name, namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      type: "ClusterIP",
      clusterIP: vip,
      clusterIPs: [vip],
      ports: [{ name: "http", protocol: "TCP", port: 80 }],
      ...spec,
    },
  };
  return { service, slices };
}

/** Service `i` as an API server answers it when a user applied it with kubectl. */
export function servedService(i) {
  const { service } = object(i, 0, {}, podAddress);
  const { name } = service.metadata;
  const ports = [{ name: "http", protocol: "TCP", port: 80, targetPort: "http" }];
  const spec = { ...service.spec, ports, selector: { app: name }, sessionAffinity: "None" };
  const applied = { apiVersion: "v1", kind: "Service", metadata: { annotations: {}, labels: { app: name }, name, namespace: "default" }, spec: { ports, selector: { app: name } } };
  return {
    metadata: {
      ...servedMetadata(name, `5e2f0000-0000-4000-8000-${hex(i)}`, ["f:metadata", "f:spec"], "kubectl-client-side-apply"),
      labels: { app: name, "app.kubernetes.io/part-of": "bench" },
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(applied) },
    },
    spec: { ...spec, internalTrafficPolicy: "Cluster", ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" },
    status: { loadBalancer: {} },
  };
}

/** The slice of Service `i` as the EndpointSlice controller writes it; `extra` is one endpoint more. */
export function servedSlice(i, endpoints, revision = 1, extra = undefined) {
  const name = `service-${String(i)}`;
  const slice = object(i, endpoints, {}, podAddress).slices[0];
  const all = extra === undefined ? slice.endpoints : [...slice.endpoints, { ...slice.endpoints[0], addresses: [extra] }];
  return {
    metadata: {
      ...servedMetadata(`${name}-x7k2p`, `5e2f0001-0000-4000-8000-${hex(i)}`, ["f:addressType", "f:endpoints", "f:metadata", "f:ports"], "kube-controller-manager"),
      resourceVersion: String(revision),
      generateName: `${name}-`,
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" },
      labels: {
        app: name,
        "app.kubernetes.io/part-of": "bench",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": name,
      },
      ownerReferences: [{ apiVersion: "v1", kind: "Service", name, uid: `5e2f0000-0000-4000-8000-${hex(i)}`, controller: true, blockOwnerDeletion: true }],
    },
    addressType: "IPv4",
    ports: slice.ports,
    endpoints: all.map((endpoint, j) => ({
      ...endpoint,
      nodeName: `node-${String((i + j) % 200)}`,
      zone: `zone-${String(j % 3)}`,
      targetRef: { kind: "Pod", namespace: "default", name: `${name}-5d4f8c7b9-${hex(i * 1000 + j).slice(-5)}`, uid: `5e2f0002-0000-4000-8000-${hex(i * 1000 + j)}` },
    })),
  };
}

function servedMetadata(name, uid, fields, manager) {
  const fieldsV1 = Object.fromEntries(
    fields.map((field) => [field, { ".": {}, "f:annotations": { ".": {}, "f:last": {} }, "f:labels": { ".": {}, "f:app": {}, "f:part-of": {} }, "f:ports": { ".": {}, "k:{\"port\":80}": { ".": {}, "f:port": {}, "f:targetPort": {} } } }]),
  );
  const managedFields = [{ manager, operation: "Update", apiVersion: "v1", time: "2026-01-01T00:00:00Z", fieldsType: "FieldsV1", fieldsV1 }];
  return { name, namespace: "default", uid, resourceVersion: "1", generation: 1, creationTimestamp: "2026-01-01T00:00:00Z", managedFields };
}

function hex(n) {
  return n.toString(16).padStart(12, "0");
}
