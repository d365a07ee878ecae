/** Text that must not be taken for markdown. */

export function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]()<>#+\-.!|~$]/g, "\\$&");
}

/** One line, at most `limit` characters. */
export function shortened(text: string, limit: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  const characters = [...line];
  return characters.length <= limit ? line : `${characters.slice(0, limit - 1).join("")}…`;
}
