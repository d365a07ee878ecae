// Opens a page in headless Chromium and takes a picture once VS Code has drawn its workbench.
// Arguments: playwright-core folder, browser, URL, picture, profile folder.
import { createRequire } from "node:module";

const [playwright, browser, url, picture, profile] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(playwright);

const context = await chromium.launchPersistentContext(profile, {
  executablePath: browser,
  headless: true,
  viewport: { width: 1280, height: 800 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = context.pages()[0] ?? (await context.newPage());
  await page.goto(url, { waitUntil: "domcontentloaded", timeout: 60_000 });
  await page.getByText("proof.txt").first().waitFor({ timeout: 90_000 });
  await page.locator(".statusbar-item").first().waitFor({ timeout: 60_000 });
  await page.screenshot({ path: picture });
  console.log(await page.title());
} finally {
  await context.close();
}
