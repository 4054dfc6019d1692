/**
 * What is said with each write of a kind on which nothing here acts: it is checked and kept, so that manifests of
 * whole applications apply, and whoever applies them learns what does not come of it.
 * @param plural as in "HorizontalPodAutoscalers".
 */
export function storedOnly(plural: string, lacking: string): () => readonly string[] {
  const text = `${plural} are stored, but nothing here acts on them: ${lacking}`;
  return () => [text];
}
