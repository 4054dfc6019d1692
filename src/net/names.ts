/**
 * Checks of DNS-like names. Each returns the problems in upstream's wording, empty when the name is fine,
 * so that validation messages can be compared with a real API server's.
 */

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1123 = new RegExp(`^${LABEL}$`);
const SUBDOMAIN_1123 = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const LABEL_1123_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_1123_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";

/** RFC 1123 label: at most 63 characters. */
export function dnsLabelProblems(name: string): readonly string[] {
  const problems: string[] = [];
  if (name.length > 63) problems.push("must be no more than 63 characters");
  if (!LABEL_1123.test(name)) {
    problems.push(regexProblem(LABEL_1123_TEXT, LABEL, ["my-name", "123-abc"]));
  }
  return problems;
}

/** RFC 1123 subdomain: labels joined by dots, at most 253 characters. */
export function dnsSubdomainProblems(name: string): readonly string[] {
  const problems: string[] = [];
  if (name.length > 253) problems.push("must be no more than 253 characters");
  if (!SUBDOMAIN_1123.test(name)) {
    problems.push(regexProblem(SUBDOMAIN_1123_TEXT, `${LABEL}(\\.${LABEL})*`, ["example.com"]));
  }
  return problems;
}

/** RFC 1035 label, as Service names are (VAL-001): starts with a letter, at most 63 characters. */
export function dns1035LabelProblems(name: string): readonly string[] {
  const problems: string[] = [];
  if (name.length > 63) problems.push("must be no more than 63 characters");
  if (!LABEL_1035.test(name)) {
    problems.push(
      regexProblem(LABEL_1035_TEXT, "[a-z]([-a-z0-9]*[a-z0-9])?", ["my-name", "abc-123"]),
    );
  }
  return problems;
}

function regexProblem(text: string, regex: string, examples: readonly string[]): string {
  const quoted = examples.map((example) => `'${example}'`).join(",  or ");
  return `${text} (e.g. ${quoted}, regex used for validation is '${regex}')`;
}
