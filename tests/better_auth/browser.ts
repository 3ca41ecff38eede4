// Opens the page of an origin in Chromium, runs it, and prints what it noted:
// node build/browser.js ORIGIN SCREENSHOT BACKEND BROKEN FOREIGN_TASK
import { chromium } from "playwright-core";

const [origin, screenshot, ...args] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
const page = await browser.newPage();
await page.goto(origin);
const results = await page.evaluate(`run(...${JSON.stringify(args)})`);
await page.screenshot({ path: screenshot, fullPage: true });
await browser.close();
console.log(JSON.stringify(results));
