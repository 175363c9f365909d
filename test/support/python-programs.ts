/** The Python programs of a document, with the lines that each claims to print: what stands behind `# → `. */
export function programsOf(document: string): { readonly code: string; readonly claimed: string[] }[] {
  return [...document.matchAll(/^```python\n([\s\S]*?)^```/gm)].map(([, code]) => ({
    code: code!,
    claimed: [...code!.matchAll(/# → (.*)$/gm)].map(([, line]) => line!),
  }));
}
