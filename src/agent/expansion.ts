/**
 * Replaces `$(NAME)` by the variable's value, as in command, args and env values of a container. `$$` is a
 * dollar sign, so `$$(NAME)` stays `$(NAME)`; an unknown name and an unclosed `$(` stay as they are
 * (upstream third_party/forked/golang/expansion).
 */
export function expandVariables(
  text: string,
  valueOf: (name: string) => string | undefined,
): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole: string, name: string | undefined) =>
    name === undefined ? "$" : (valueOf(name) ?? whole),
  );
}
