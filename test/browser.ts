// A headless Chromium, and what it saw go wrong.
import { existsSync } from 'node:fs';
import path from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** Where a Chromium is: CHROMIUM, or the first one on the PATH. */
export function chromiumPath(): string | undefined {
  const named = process.env['CHROMIUM'];
  if (named) return named;
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  return folders
    .flatMap((folder) => names.map((name) => path.join(folder, name)))
    .find((file) => existsSync(file));
}

export const launch = (executablePath: string): Promise<Browser> =>
  puppeteer.launch({
    executablePath,
    headless: true,
    // In a container there is no sandbox to be had, and no shared memory worth the name.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  });

export type Watched = {
  readonly page: Page;
  /** Errors in the console, exceptions, refused loads. */
  readonly faults: string[];
  /** Every origin that anything was asked of. */
  readonly origins: Set<string>;
  /** Answers by URL, bodies not included. */
  readonly answers: Map<string, { readonly status: number; readonly headers: Record<string, string> }>;
};

export async function watchedPage(browser: Browser): Promise<Watched> {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const watched: Watched = { page, faults: [], origins: new Set(), answers: new Map() };
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warn') watched.faults.push(message.text());
  });
  page.on('pageerror', (error) => watched.faults.push(String(error)));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== 'data:' && protocol !== 'blob:') watched.origins.add(origin);
  });
  page.on('response', (response) =>
    watched.answers.set(response.url(), { status: response.status(), headers: response.headers() }),
  );
  return watched;
}
