import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Service } from "../api/v1/service.ts";
import { containerEnvironment, environmentRefs, hostnameOf } from "./environment.ts";
import type { Environment, EnvironmentSources } from "./environment.ts";

const PLACE = {
  podIps: ["127.81.0.2"],
  hostIps: ["127.81.0.1"],
  allocatable: { cpu: 8, memory: 2 ** 30, "ephemeral-storage": 2 ** 31 },
};
const NOTHING: EnvironmentSources = { configMaps: new Map(), secrets: new Map() };

function podOf(container: Container): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web-0",
      namespace: "shop",
      uid: "u-1",
      labels: { app: "web" },
      annotations: { "a/b": "c" },
    },
    spec: { containers: [container], nodeName: "local", serviceAccountName: "default" },
  };
}

function environmentOf(
  container: Omit<Container, "name">,
  sources = NOTHING,
  services: readonly Service[] = [],
): Environment {
  const named = { name: "main", ...container };
  return containerEnvironment({
    pod: podOf(named),
    container: named,
    place: PLACE,
    services,
    base: { PATH: "/bin" },
    ...sources,
  });
}

function variablesOf(environment: Environment): Readonly<Record<string, string>> {
  assert.equal(environment.kind, "environment", JSON.stringify(environment));
  return environment.kind === "environment" ? environment.variables : {};
}

function metadata(name: string): { name: string; namespace: string } {
  return { name, namespace: "shop" };
}

const config = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: metadata("config"),
  data: { LEVEL: "debug", MODE: "fast" },
};
const secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: metadata("secret"),
  type: "Opaque",
  data: { TOKEN: Buffer.from("s3cret").toString("base64") },
};
const SOURCES: EnvironmentSources = {
  configMaps: new Map([["config", config]]),
  secrets: new Map([["secret", secret]]),
};

describe("containerEnvironment()", () => {
  it("gives base, HOSTNAME and POD_IP to a container that asks for nothing", () => {
    assert.deepEqual(variablesOf(environmentOf({})), {
      PATH: "/bin",
      HOSTNAME: "web-0",
      POD_IP: "127.81.0.2",
    });
  });

  it("answers the downward API's fields", () => {
    const paths = [
      ["metadata.name", "web-0"],
      ["metadata.namespace", "shop"],
      ["metadata.uid", "u-1"],
      ["metadata.labels['app']", "web"],
      ["metadata.labels['none']", ""],
      ["metadata.annotations['a/b']", "c"],
      ["spec.nodeName", "local"],
      ["spec.serviceAccountName", "default"],
      ["status.podIP", "127.81.0.2"],
      ["status.podIPs", "127.81.0.2"],
      ["status.hostIP", "127.81.0.1"],
    ] as const;
    for (const [fieldPath, expected] of paths) {
      const env = [{ name: "X", valueFrom: { fieldRef: { fieldPath } } }];
      assert.equal(variablesOf(environmentOf({ env }))["X"], expected, fieldPath);
    }
  });

  it("refuses a field that there is none of, by name", () => {
    const env = [{ name: "X", valueFrom: { fieldRef: { fieldPath: "spec.nothing" } } }];
    assert.deepEqual(environmentOf({ env }), {
      kind: "invalid",
      message: "unsupported fieldPath: spec.nothing",
    });
  });

  it("answers resources in units of the divisor, rounded up, with the node's for missing limits", () => {
    const cases = [
      [{ resource: "limits.cpu" }, "1"],
      [{ resource: "limits.cpu", divisor: "1m" }, "300"],
      [{ resource: "requests.memory", divisor: "1Mi" }, "64"],
      [{ resource: "limits.memory", divisor: "1Mi" }, "1024"],
      [{ resource: "limits.ephemeral-storage", divisor: "1Gi" }, "2"],
      [{ resource: "requests.ephemeral-storage" }, "0"],
      [{ resource: "limits.hugepages-2Mi" }, "0"],
    ] as const;
    const resources = { limits: { cpu: "300m" }, requests: { memory: "64Mi" } };
    for (const [resourceFieldRef, expected] of cases) {
      const env = [{ name: "X", valueFrom: { resourceFieldRef } }];
      const variables = variablesOf(environmentOf({ env, resources }));
      assert.equal(variables["X"], expected, JSON.stringify(resourceFieldRef));
    }
  });

  it("reads ConfigMaps and Secrets, whole with a prefix and key by key", () => {
    const variables = variablesOf(
      environmentOf(
        {
          envFrom: [
            { prefix: "C_", configMapRef: { name: "config" } },
            { secretRef: { name: "secret" } },
          ],
          env: [
            { name: "L", valueFrom: { configMapKeyRef: { name: "config", key: "LEVEL" } } },
            { name: "T", valueFrom: { secretKeyRef: { name: "secret", key: "TOKEN" } } },
          ],
        },
        SOURCES,
      ),
    );
    const { C_LEVEL, C_MODE, TOKEN, L, T } = variables;
    assert.deepEqual(
      { C_LEVEL, C_MODE, TOKEN, L, T },
      { C_LEVEL: "debug", C_MODE: "fast", TOKEN: "s3cret", L: "debug", T: "s3cret" },
    );
  });

  it("names what is missing, unless it is optional", () => {
    const key = (name: string, key: string, optional?: boolean): Environment =>
      environmentOf(
        {
          env: [
            {
              name: "X",
              valueFrom: {
                configMapKeyRef: { name, key, ...(optional === undefined ? {} : { optional }) },
              },
            },
          ],
        },
        SOURCES,
      );
    assert.deepEqual(key("config", "NO"), {
      kind: "invalid",
      message: "couldn't find key NO in ConfigMap shop/config",
    });
    assert.deepEqual(key("gone", "NO"), { kind: "invalid", message: 'configmap "gone" not found' });
    assert.equal("X" in variablesOf(key("gone", "NO", true)), false);
    assert.deepEqual(environmentOf({ envFrom: [{ secretRef: { name: "gone" } }] }), {
      kind: "invalid",
      message: 'secret "gone" not found',
    });
  });

  it("expands variables that stand above, and Services'", () => {
    const service: Service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("db"),
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        clusterIP: "127.96.0.7",
        ports: [{ port: 5432, protocol: "TCP" }],
      },
    };
    const env = [
      { name: "A", value: "1" },
      { name: "B", value: "$(A)$(LATER)" },
      { name: "LATER", value: "2" },
      { name: "URL", value: "pg://$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)" },
    ];
    const variables = variablesOf(environmentOf({ env }, NOTHING, [service]));
    assert.equal(variables["B"], "1$(LATER)");
    assert.equal(variables["URL"], "pg://127.96.0.7:5432");
  });

  it("ENV-009: lets the container's own variable win", () => {
    const env = [{ name: "POD_IP", value: "mine" }];
    assert.equal(variablesOf(environmentOf({ env }))["POD_IP"], "mine");
  });

  it("ENV-006: gives no links when enableServiceLinks is false", () => {
    const container = { name: "main" };
    const pod = podOf(container);
    const service: Service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("db"),
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        clusterIP: "127.96.0.7",
        ports: [{ port: 1, protocol: "TCP" }],
      },
    };
    const variables = variablesOf(
      containerEnvironment({
        container,
        place: PLACE,
        base: {},
        services: [service],
        ...NOTHING,
        pod: { ...pod, spec: { ...pod.spec, enableServiceLinks: false } },
      }),
    );
    assert.deepEqual(Object.keys(variables).sort(), ["HOSTNAME", "POD_IP"]);
  });
});

describe("environmentRefs()", () => {
  it("names each source once", () => {
    const { configMaps, secrets } = environmentRefs({
      name: "main",
      envFrom: [{ configMapRef: { name: "a" } }],
      env: [
        { name: "X", valueFrom: { configMapKeyRef: { name: "a", key: "k" } } },
        { name: "Y", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
      ],
    });
    assert.deepEqual([[...configMaps], [...secrets]], [["a"], ["s"]]);
  });
});

describe("hostnameOf()", () => {
  it("is spec.hostname, else the name, without what 63 characters leave at the end", () => {
    const pod = podOf({ name: "main" });
    assert.equal(hostnameOf(pod), "web-0");
    assert.equal(hostnameOf({ ...pod, spec: { ...pod.spec, hostname: "h" } }), "h");
    const long = `${"a".repeat(62)}-b`;
    assert.equal(hostnameOf({ ...pod, metadata: { ...pod.metadata, name: long } }), "a".repeat(62));
  });
});
