import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultService } from "./service.defaults.ts";
import { serviceKind } from "./service.kind.ts";
import type { Service } from "./service.ts";
import { validateServiceStatus } from "./service-status.validation.ts";
import { validateServiceUpdate } from "./service-update.validation.ts";
import { validateService } from "./service.validation.ts";

const HTTP = { port: 80, protocol: "TCP", targetPort: 8080 } as const;

/** A valid ClusterIP Service, as it is after defaults and allocation, with some fields replaced. */
function service(spec: object = {}, annotations?: Readonly<Record<string, string>>): Service {
  const object = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default", annotations },
    spec: {
      clusterIP: "10.96.0.9",
      clusterIPs: ["10.96.0.9"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: [HTTP],
      ...spec,
    },
  };
  // Tests put in what clients may send, not what the type allows.
  return defaultService(object as unknown as Service);
}

const external = (spec: object = {}): Service =>
  service({
    type: "ExternalName",
    externalName: "db.example.com",
    clusterIP: undefined,
    clusterIPs: undefined,
    ipFamilies: undefined,
    ipFamilyPolicy: undefined,
    ...spec,
  });
const headless = { clusterIP: "None", clusterIPs: ["None"] };
const local = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 30_900 };

const texts = (errors: ReturnType<typeof validateService>): readonly string[] =>
  errors.map((error) => `${error.field}: ${error.message}`);

describe("validateService(): VAL-002..028", () => {
  it("accepts what is right", () => {
    const good = [
      service(),
      service({ ...headless, ports: undefined }),
      service({ type: "NodePort", ports: [{ ...HTTP, nodePort: 30_080 }] }),
      service(local),
      service({
        clusterIP: "10.96.0.9",
        clusterIPs: ["10.96.0.9", "fd00::9"],
        ipFamilies: ["IPv4", "IPv6"],
        ipFamilyPolicy: "RequireDualStack",
      }),
      service({ selector: {} }),
      external(),
      external({ externalName: "db.example.com.", ports: undefined }),
    ];
    for (const object of good) assert.deepEqual(texts(validateService(object)), []);
  });

  it("SVC-025, VAL-007: one port number may be served over TCP and UDP, also as node port", () => {
    const tcp = { ...HTTP, name: "tcp", nodePort: 30_053 };
    const ports = [tcp, { ...tcp, name: "udp", protocol: "UDP" }];
    assert.deepEqual(texts(validateService(service({ type: "NodePort", ports }))), []);
  });

  const two = (a: object, b: object) => ({
    ports: [
      { ...HTTP, name: "a", ...a },
      { ...HTTP, port: 81, name: "b", ...b },
    ],
  });
  const cases: readonly [id: string, object: Service, ...expected: string[]][] = [
    ["VAL-002", service({ ports: undefined }), "spec.ports: Required value"],
    [
      "VAL-003",
      service({ ports: [{ ...HTTP, port: 0 }] }),
      "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ],
    [
      "VAL-003",
      service({ ports: [{ ...HTTP, targetPort: 65_536 }] }),
      "spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
    ],
    [
      "VAL-003",
      service({ ports: [{ ...HTTP, targetPort: "a--b" }] }),
      'spec.ports[0].targetPort: Invalid value: "a--b": must not contain consecutive hyphens',
    ],
    [
      "VAL-003",
      service({ ports: [{ ...HTTP, targetPort: "1234567890123456" }] }),
      'spec.ports[0].targetPort: Invalid value: "1234567890123456": must be no more than 15 characters',
      'spec.ports[0].targetPort: Invalid value: "1234567890123456": must contain at least one letter (a-z)',
    ],
    ["VAL-004", service(two({ name: undefined }, {})), "spec.ports[0].name: Required value"],
    ["VAL-004", service(two({ name: "b" }, {})), 'spec.ports[1].name: Duplicate value: "b"'],
    [
      "VAL-005",
      service({ ports: [{ ...HTTP, protocol: "tcp" }] }),
      'spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ],
    [
      "VAL-006",
      service(two({}, { port: 80 })),
      'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}',
    ],
    [
      "VAL-007",
      service({ type: "NodePort", ...two({ nodePort: 30_080 }, { nodePort: 30_080 }) }),
      "spec.ports[1].nodePort: Duplicate value: 30080",
    ],
    [
      "VAL-009",
      service({ ports: [{ ...HTTP, nodePort: 30_080 }] }),
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ],
    [
      "VAL-010",
      service({ type: "LoadBalancer", ports: [{ ...HTTP, port: 10_250 }] }),
      "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet",
    ],
    [
      "VAL-011",
      service({ ...headless, type: "NodePort" }),
      "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
    ],
    [
      "VAL-011",
      service({ ...headless, type: "LoadBalancer" }),
      "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
    ],
    ["VAL-012", external({ externalName: "" }), "spec.externalName: Required value"],
    [
      "VAL-012",
      external({ clusterIPs: ["10.96.0.9"] }),
      "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
    ],
    [
      "VAL-012",
      external({ ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" }),
      "spec.ipFamilies: Forbidden: may not be set for ExternalName services",
      "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
    ],
    [
      "VAL-014",
      service({ sessionAffinity: "Cookie" }),
      'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"',
    ],
    [
      "VAL-014",
      service({
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } },
      }),
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
    ],
    ["VAL-015", service({ clusterIPs: undefined }), "spec.clusterIPs: Required value"],
    [
      "VAL-015",
      service({ clusterIP: "10.96.0.8" }),
      'spec.clusterIPs: Invalid value: []string{"10.96.0.9"}: first value must match `clusterIP`',
    ],
    [
      "VAL-015",
      service({ clusterIP: undefined }),
      'spec.clusterIPs: Invalid value: []string{"10.96.0.9"}: must be empty when `clusterIP` is not specified',
    ],
    [
      "VAL-016",
      service({ clusterIP: "None", clusterIPs: ["None", "10.96.0.9"] }),
      'spec.clusterIPs: Invalid value: []string{"None", "10.96.0.9"}: \'None\' must be the first and only value',
    ],
    [
      "VAL-016",
      service({ clusterIPs: ["10.96.0.9", "10.96.0.10"] }),
      'spec.clusterIPs: Invalid value: []string{"10.96.0.9", "10.96.0.10"}: may specify no more than one IP for each IP family, i.e. one IPv4 and one IPv6',
    ],
    [
      "VAL-016",
      service({ ipFamilies: ["IPv6"] }),
      'spec.clusterIPs[0]: Invalid value: "10.96.0.9": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ],
    [
      "VAL-017",
      service({ ipFamilies: ["IPv4", "IPv4"] }),
      'spec.ipFamilies[1]: Duplicate value: "IPv4"',
    ],
    [
      "VAL-017",
      service({ ipFamilies: ["IPv5"], clusterIP: undefined, clusterIPs: undefined }),
      'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
    ],
    [
      "VAL-017",
      service({ ipFamilyPolicy: "Both" }),
      'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
    ],
    [
      "VAL-018",
      service({ externalIPs: ["x"] }),
      'spec.externalIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
    [
      "VAL-018",
      service({ externalIPs: ["0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1"] }),
      'spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
      'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'spec.externalIPs[2]: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      'spec.externalIPs[3]: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
    ],
    [
      "VAL-019",
      service({ loadBalancerSourceRanges: ["10.0.0.0/8"] }),
      "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
    [
      "VAL-019",
      service({ type: "LoadBalancer", loadBalancerSourceRanges: [" 10.0.0.0/8 ", "10.0.0.1"] }),
      'spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ],
    [
      "VAL-021",
      service({ allocateLoadBalancerNodePorts: false }),
      "allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
    [
      "VAL-022",
      service({ loadBalancerClass: "example.com/lb" }),
      "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
    [
      "VAL-023",
      service({ externalTrafficPolicy: "Local" }),
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ],
    [
      "VAL-023",
      service({ type: "NodePort", externalTrafficPolicy: "Near" }),
      'spec.externalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"',
    ],
    [
      "VAL-024",
      service({ healthCheckNodePort: 30_900 }),
      "spec.healthCheckNodePort: Invalid value: 30900: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
    [
      "VAL-024",
      service({ ...local, healthCheckNodePort: 70_000 }),
      "spec.healthCheckNodePort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ],
    [
      "VAL-025",
      service({ internalTrafficPolicy: "Near" }),
      'spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"',
    ],
    [
      "VAL-026",
      service({ trafficDistribution: "Far" }),
      'spec.trafficDistribution: Unsupported value: "Far": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    ],
    [
      "VAL-027",
      service(
        {},
        {
          "service.kubernetes.io/topology-mode": "Auto",
          "service.kubernetes.io/topology-aware-hints": "Disabled",
        },
      ),
      'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified',
    ],
    [
      "VAL-028",
      service({ clusterIP: "ten", clusterIPs: ["ten"] }),
      'spec.clusterIPs[0]: Invalid value: "ten": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
  ];
  for (const [id, object, ...expected] of cases) {
    it(`${id}: refuses with ${expected[0] ?? ""}`, () => {
      assert.deepEqual(texts(validateService(object)), expected);
    });
  }

  it("VAL-001, VAL-008, VAL-013, VAL-022: refuses names and labels that are none", () => {
    assert.deepEqual(serviceKind.strategy.nameProblems("web-1", false), []);
    assert.match(serviceKind.strategy.nameProblems("1web", false)[0] ?? "", /^a DNS-1035 label/);
    assert.deepEqual(serviceKind.strategy.nameProblems("web-", true), []);
    const fields = (object: Service) => validateService(object).map((error) => error.field);
    assert.deepEqual(fields(service({ ports: [{ ...HTTP, appProtocol: "a b" }] })), [
      "spec.ports[0].appProtocol",
    ]);
    assert.deepEqual(fields(service({ selector: { "a b": "x" } })), ["spec.selector"]);
    assert.deepEqual(fields(service({ selector: { a: "x y" } })), ["spec.selector"]);
    const classed = service({ type: "LoadBalancer", loadBalancerClass: "a/b/c" });
    assert.deepEqual(fields(classed), ["spec.loadBalancerClass"]);
  });

  it("VAL-020: reads source ranges from the annotation where the field is empty", () => {
    const annotations = {
      "service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, nowhere",
    };
    const path = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]";
    const fields = (object: Service) => validateService(object).map((error) => error.field);
    assert.deepEqual(fields(service({ type: "LoadBalancer" }, annotations)), [`${path}[1]`]);
    assert.deepEqual(fields(service({}, annotations)), [path, `${path}[1]`]);
    const both = { type: "LoadBalancer", loadBalancerSourceRanges: ["10.0.0.0/8"] };
    assert.deepEqual(fields(service(both, annotations)), []);
  });

  it("VAL-030: reads leading zeros as decimal, and warns", () => {
    const object = service({ externalIPs: ["010.000.000.001"] });
    assert.deepEqual(validateService(object), []);
    assert.deepEqual(serviceKind.strategy.warnings?.(object), [
      'spec.externalIPs[0]: non-standard IP address "010.000.000.001" will be considered invalid in a future Kubernetes release: use "10.0.0.1"',
    ]);
  });
});

describe("validateServiceUpdate(): VAL-033..038", () => {
  const dual = {
    clusterIPs: ["10.96.0.9", "fd00::9"],
    ipFamilies: ["IPv4", "IPv6"],
    ipFamilyPolicy: "RequireDualStack",
  };
  const other = { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] };
  const classed = (name?: string) => service({ type: "LoadBalancer", loadBalancerClass: name });
  const cases: readonly [id: string, old: Service, next: Service, ...expected: string[]][] = [
    [
      "VAL-035",
      service(),
      service(other),
      'spec.clusterIPs[0]: Invalid value: []string{"10.96.0.10"}: may not change once set',
    ],
    ["VAL-035", external(), service(other)],
    ["VAL-036", service(), service(dual)],
    ["VAL-036", service(dual), service()],
    [
      "VAL-036",
      service(dual),
      service({ ipFamilyPolicy: "PreferDualStack" }),
      "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP",
      "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary ipFamily",
    ],
    [
      "VAL-036",
      service(dual),
      service({ ...dual, clusterIPs: ["10.96.0.9", "fd00::a"] }),
      'spec.clusterIPs[1]: Invalid value: []string{"10.96.0.9", "fd00::a"}: may not change once set',
    ],
    ["VAL-037", service(headless), service({ ...headless, ipFamilies: ["IPv6"] })],
    [
      "VAL-037",
      service(),
      service({ ipFamilies: ["IPv6"] }),
      'spec.ipFamilies[0]: Invalid value: []core.IPFamily{"IPv6"}: may not change once set',
      'spec.clusterIPs[0]: Invalid value: "10.96.0.9": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ],
    [
      "VAL-038",
      service(),
      service(headless),
      'spec.clusterIPs[0]: Invalid value: []string{"None"}: may not change once set',
    ],
    [
      "VAL-038",
      service(headless),
      service(),
      'spec.clusterIPs[0]: Invalid value: []string{"10.96.0.9"}: may not change once set',
    ],
    [
      "VAL-033",
      classed("a.example/b"),
      classed("a.example/c"),
      'spec.loadBalancerClass: Invalid value: "a.example/c": may not change once set',
    ],
    ["VAL-033", service(), classed("a.example/b")],
    [
      "VAL-034",
      service(local),
      service({ ...local, healthCheckNodePort: 30_901 }),
      "spec.healthCheckNodePort: Forbidden: field is immutable",
    ],
    ["VAL-034", service({ type: "LoadBalancer" }), service(local)],
  ];
  for (const [id, old, next, ...expected] of cases) {
    it(`${id}: ${expected.length === 0 ? "accepts" : `refuses with ${expected[0] ?? ""}`} (${old.spec.type} to ${next.spec.type})`, () => {
      assert.deepEqual(texts(validateServiceUpdate(next, old)), expected);
    });
  }
});

describe("validateServiceStatus(): VAL-031, VAL-032", () => {
  const withIngress = (type: string, ...ingress: readonly object[]): Service => {
    // As in service().
    const status = { loadBalancer: { ingress } } as Service["status"];
    return { ...service({ type }), status };
  };
  const at = "status.loadBalancer.ingress";
  const cases: readonly [id: string, object: Service, ...fields: string[]][] = [
    ["VAL-031", withIngress("LoadBalancer", { ip: "192.0.2.1", ipMode: "VIP" })],
    ["VAL-031", withIngress("LoadBalancer", { ip: "192.0.2.1" }), `${at}[0].ipMode`],
    ["VAL-031", withIngress("LoadBalancer", { ip: "x", ipMode: "VIP" }), `${at}[0].ip`],
    [
      "VAL-031",
      withIngress("LoadBalancer", { hostname: "a.example", ipMode: "VIP" }),
      `${at}[0].ipMode`,
    ],
    ["VAL-031", withIngress("LoadBalancer", { ip: "192.0.2.1", ipMode: "Odd" }), `${at}[0].ipMode`],
    ["VAL-031", withIngress("LoadBalancer", { hostname: "192.0.2.1" }), `${at}[0].hostname`],
    ["VAL-031", withIngress("ClusterIP", { ip: "192.0.2.1", ipMode: "VIP" }), at],
    [
      "VAL-032",
      withIngress("LoadBalancer", {
        hostname: "a.example",
        ports: [{ port: 0, protocol: "tcp", error: "not a name" }],
      }),
      `${at}[0].ports[0].port`,
      `${at}[0].ports[0].protocol`,
      `${at}[0].ports[0].error`,
    ],
  ];
  for (const [id, object, ...fields] of cases) {
    it(`${id}: ${JSON.stringify(object.status?.loadBalancer?.ingress)} of ${object.spec.type}`, () => {
      assert.deepEqual(
        validateServiceStatus(object).map((error) => error.field),
        fields,
      );
    });
  }
});
