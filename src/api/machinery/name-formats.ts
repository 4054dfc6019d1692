/**
 * Formats of names that are neither DNS names nor those of labels. Each check gives the problems in upstream's
 * wording, empty when the text is fine. Source: apimachinery `pkg/util/validation`.
 */

const CONFIG_KEY = "[-._a-zA-Z0-9]+";

/** Name of a port of a container, as targetPort may use: an IANA service name. */
export function portNameProblems(text: string): readonly string[] {
  const problems: string[] = [];
  if (text.length > 15) problems.push("must be no more than 15 characters");
  if (!/^[-a-z0-9]+$/.test(text)) {
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(text)) problems.push("must contain at least one letter (a-z)");
  if (text.includes("--")) problems.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) {
    problems.push("must not begin or end with a hyphen");
  }
  return problems;
}

export function portNumberProblems(port: number): readonly string[] {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
    ? []
    : ["must be between 1 and 65535, inclusive"];
}

/** Key of a ConfigMap or Secret: a file name. */
export function configKeyProblems(text: string): readonly string[] {
  const problems: string[] = [];
  if (text.length > 253) problems.push("must be no more than 253 characters");
  if (!/^[-._a-zA-Z0-9]+$/.test(text)) {
    problems.push(
      regexProblem(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        CONFIG_KEY,
        ["key.name", "KEY_NAME", "key-name"],
      ),
    );
  }
  if (text === ".") problems.push("must not be '.'");
  else if (text === "..") problems.push("must not be '..'");
  else if (text.startsWith("..")) problems.push("must not start with '..'");
  return problems;
}

/** Name of an environment variable: any printable ASCII but `=` (upstream since 1.34). */
export function envNameProblems(text: string): readonly string[] {
  return /^[ -<>-~]+$/.test(text)
    ? []
    : [
        regexProblem(
          "a valid environment variable name must consist only of printable ASCII characters other than '='",
          "[ -<>-~]+",
          ["my.env-name", "MY_ENV.NAME", "MyEnvName1"],
        ),
      ];
}

/** Text that stands in a URL's path as one segment, as names of objects of any kind must. */
export function pathSegmentProblems(text: string): readonly string[] {
  if (text === "." || text === "..") return [`may not be '${text}'`];
  return ["/", "%"]
    .filter((part) => text.includes(part))
    .map((part) => `may not contain '${part}'`);
}

/** Checks a name, or a generateName, whose trailing dash is followed by characters yet to come. */
export function nameCheck(
  problems: (name: string) => readonly string[],
): (name: string, isPrefix: boolean) => readonly string[] {
  return (name, isPrefix) =>
    problems(isPrefix && name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name);
}

function regexProblem(text: string, regex: string, examples: readonly string[]): string {
  const quoted = examples.map((example) => `'${example}'`).join(",  or ");
  return `${text} (e.g. ${quoted}, regex used for validation is '${regex}')`;
}
