import { dnsSubdomainProblems } from "../../net/names.ts";

const NAME_FORMAT = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME = new RegExp(`^${NAME_FORMAT}$`);
const MAX_LENGTH = 63;
const CHARACTERS =
  "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const NAME_EXAMPLES = `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${NAME_FORMAT}')`;
const VALUE_EXAMPLES = `(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${NAME_FORMAT})?')`;

/**
 * Checks the key of a label, annotation or finalizer: `[prefix/]name`. The problems are in upstream's wording,
 * none when the key is fine. Source: apimachinery `validation.IsQualifiedName`.
 */
export function qualifiedNameProblems(key: string): readonly string[] {
  const parts = key.split("/");
  if (parts.length > 2) {
    return [
      `a qualified name must ${CHARACTERS} ${NAME_EXAMPLES} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  const name = parts[parts.length - 1] ?? "";
  const prefix = parts.length === 2 ? parts[0] : undefined;
  if (prefix === "") problems.push("prefix part must be non-empty");
  else if (prefix !== undefined) {
    problems.push(...dnsSubdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  }
  if (name === "") problems.push("name part must be non-empty");
  else if (name.length > MAX_LENGTH) problems.push("name part must be no more than 63 characters");
  if (!NAME.test(name)) problems.push(`name part must ${CHARACTERS} ${NAME_EXAMPLES}`);
  return problems;
}

/** Checks the value of a label; "" is fine. Source: apimachinery `validation.IsValidLabelValue`. */
export function labelValueProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (value.length > MAX_LENGTH) problems.push("must be no more than 63 characters");
  if (value !== "" && !NAME.test(value)) {
    problems.push(`a valid label must be an empty string or ${CHARACTERS} ${VALUE_EXAMPLES}`);
  }
  return problems;
}
