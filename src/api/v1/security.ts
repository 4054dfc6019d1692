import { boolean, field, int64, list, message, present, string } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

const seLinuxOptions = message(`${V1}.SELinuxOptions`, "SELinux labels.", {
  user: field(1, string),
  role: field(2, string),
  type: field(3, string),
  level: field(4, string),
});

const windowsSecurityContextOptions = message(
  `${V1}.WindowsSecurityContextOptions`,
  "Settings for Windows.",
  {
    gmsaCredentialSpecName: field(1, string, { pointer: true }),
    gmsaCredentialSpec: field(2, string, { pointer: true }),
    runAsUserName: field(3, string, { pointer: true }),
    hostProcess: field(4, boolean, { pointer: true }),
  },
);

const seccompProfile = message(`${V1}.SeccompProfile`, "Which system calls are let through.", {
  type: present(1, string, { required: true }),
  localhostProfile: field(2, string, { pointer: true }),
});

const appArmorProfile = message(`${V1}.AppArmorProfile`, "Which AppArmor profile is applied.", {
  type: present(1, string, { required: true }),
  localhostProfile: field(2, string, { pointer: true }),
});

const capabilities = message(`${V1}.Capabilities`, "POSIX capabilities added and dropped.", {
  add: field(1, list(string)),
  drop: field(2, list(string)),
});

export const securityContext = message(
  `${V1}.SecurityContext`,
  "What the processes of a container may do.",
  {
    capabilities: field(1, capabilities),
    privileged: field(2, boolean, { pointer: true }),
    seLinuxOptions: field(3, seLinuxOptions),
    runAsUser: field(4, int64, { pointer: true }),
    runAsNonRoot: field(5, boolean, { pointer: true }),
    readOnlyRootFilesystem: field(6, boolean, { pointer: true }),
    allowPrivilegeEscalation: field(7, boolean, { pointer: true }),
    runAsGroup: field(8, int64, { pointer: true }),
    procMount: field(9, string, { pointer: true }),
    windowsOptions: field(10, windowsSecurityContextOptions),
    seccompProfile: field(11, seccompProfile),
    appArmorProfile: field(12, appArmorProfile),
  },
);

const sysctl = message(`${V1}.Sysctl`, "A kernel parameter.", {
  name: present(1, string, { required: true }),
  value: present(2, string, { required: true }),
});

export const podSecurityContext = message(
  `${V1}.PodSecurityContext`,
  "What the processes of all containers may do.",
  {
    seLinuxOptions: field(1, seLinuxOptions),
    runAsUser: field(2, int64, { pointer: true }),
    runAsNonRoot: field(3, boolean, { pointer: true }),
    supplementalGroups: field(4, list(int64)),
    fsGroup: field(5, int64, { pointer: true }),
    runAsGroup: field(6, int64, { pointer: true }),
    sysctls: field(7, list(sysctl)),
    windowsOptions: field(8, windowsSecurityContextOptions),
    fsGroupChangePolicy: field(9, string, { pointer: true }),
    seccompProfile: field(10, seccompProfile),
    appArmorProfile: field(11, appArmorProfile),
    supplementalGroupsPolicy: field(12, string, { pointer: true }),
    seLinuxChangePolicy: field(13, string, { pointer: true }),
  },
);
