// Stands for the `podium`, `imi` and `jelmore` programs while the extension alone is under test: the wire formats are
// real, what is behind them is a JSON file in PODIUM_HOME. A fixture; nothing that ships uses it.
import { commandLine } from "./commands.mjs";
import { serve } from "./server.mjs";

const words = process.argv.slice(2);
if (words[0] === "lsp") {
  serve();
} else {
  const answer = commandLine(words);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  process.exitCode = answer.success ? 0 : 3;
}
