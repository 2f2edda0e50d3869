// The console as a visitor meets it: a headless Chromium on a stack, from the first look to a receipt verified in the browser.
// CONSOLE_SHOTS names a folder for pictures of every view, in both themes and on a phone.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import OpenAI from 'openai';
import type { Browser, Page } from 'puppeteer-core';
import type { Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import { formatReceiptFile } from '../client/receipt-file.ts';
import { fetchProofFor } from '../client/verify.ts';
import type { Stack } from '../dev/stack.ts';
import { chromiumPath, launch, type Watched, watchedPage } from './browser.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const chromium = chromiumPath();
if (chromium === undefined) {
  const reason = 'no Chromium on this machine: `apt-get install chromium`, or name one in CHROMIUM';
  if (process.env['CI']) throw new Error(reason);
  console.warn(`\n  THE CONSOLE IS NOT TESTED: ${reason}\n`);
}

const axe = readFileSync(path.resolve(import.meta.dirname, '../node_modules/axe-core/axe.min.js'), 'utf8');
const shots = process.env['CONSOLE_SHOTS'];

describe.skipIf(chromium === undefined)('the console', () => {
  let stack: Stack;
  let browser: Browser;
  let agent: RawAgent;
  let agentFetch: AgentFetch;
  let openai: OpenAI;
  let privateKey: Hex;
  let sessionKey = '';
  let receiptFile = '';

  const ask = (model: string, prompt: string) =>
    openai.chat.completions.create({
      model,
      max_tokens: 60,
      messages: [{ role: 'user', content: prompt }],
    });

  beforeAll(async () => {
    [stack, browser] = await Promise.all([
      startTestStack({ agents: 1, console: true }),
      launch(chromium ?? ''),
    ]);
    const [first] = stack.agents;
    if (first === undefined) throw new Error('the stack has an agent');
    privateKey = first.privateKey;
    agent = rawAgent(stack, first);
    const wallet = privateKeyToAccount(privateKey);
    agentFetch = createAgentFetch({
      wallet,
      agent: agent.agentId,
      gateway: stack.gatewayUrl,
      rpcUrl: stack.rpcUrl,
    });
    openai = new OpenAI({
      baseURL: `${stack.gatewayUrl}/v1`,
      apiKey: 'unused',
      fetch: agentFetch,
      maxRetries: 0,
    });
    await Promise.all(['qwen-plus', 'qwen-flash', 'qwen3-max'].map((model) => ask(model, 'What is 12*7?')));
    await agentFetch.settled();
    const bounds = { expiresAt: Math.floor(Date.now() / 1000) + 3600, spendCap: '1000', label: 'a test' };
    const made = await agent.call('POST', '/v1/keys', { body: JSON.stringify(bounds) });
    sessionKey = ((await made.json()) as { key: string }).key;
    receiptFile = await savedReceipt();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await stack?.close();
  });

  /** What `tallystick receipts save` writes. */
  async function savedReceipt(): Promise<string> {
    const signed = agentFetch.lastReceipt?.signed;
    if (signed === undefined) throw new Error('there is a receipt');
    const { log } = await agentFetch.deployment();
    const { rpcUrl, anchor, logId, chainId } = stack;
    const proof = await fetchProofFor(agentFetch, signed.receipt.sequence, {
      log: { rpcUrl, anchor, logId },
      timeoutMs: 20_000,
    });
    const place = { chainId, address: anchor, logId };
    return formatReceiptFile({ signed, proof, anchor: place, checkpointKey: log.checkpointKey });
  }

  /** Opens the console, does something there, and holds it to having asked nobody else and stumbled over nothing. */
  async function visit(theme: 'light' | 'dark', work: (page: Page, watched: Watched) => Promise<void>) {
    const watched = await watchedPage(browser);
    const { page } = watched;
    page.setDefaultTimeout(15_000);
    await page.setViewport({ width: 1280, height: 900 });
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: theme },
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ]);
    await page.goto(stack.gatewayUrl);
    await work(page, watched);
    const asked = [...watched.origins].filter(
      (origin) => ![stack.gatewayUrl, new URL(stack.rpcUrl).origin].includes(origin),
    );
    expect(asked).toEqual([]);
    expect(watched.faults).toEqual([]);
    await page.browserContext().close();
  }

  const go = (page: Page, view: string) => page.click(`nav a[href="#/${view}"]`);
  const text = (page: Page, selector: string) => page.$eval(selector, (element) => element.textContent ?? '');
  const until = (page: Page, selector: string, words: string) =>
    page.waitForFunction(
      (where, what) => document.querySelector(where)?.textContent?.includes(what),
      {},
      selector,
      words,
    );

  async function fill(page: Page, selector: string, value: string): Promise<void> {
    await page.waitForSelector(selector);
    await page.$eval(
      selector,
      (element, what) => {
        (element as HTMLInputElement | HTMLTextAreaElement).value = what;
        element.dispatchEvent(new Event('input', { bubbles: true }));
      },
      value,
    );
  }

  async function signIn(page: Page): Promise<void> {
    await go(page, 'account');
    await fill(page, '#session-key', sessionKey);
    await page.click('form button[type=submit]');
    await page.waitForSelector('.deposit');
  }

  async function verify(page: Page, receipt: string): Promise<void> {
    await fill(page, '#receipt', receipt);
    await page.click('form button[type=submit]');
    await page.waitForSelector('#verdict.right, #verdict.false');
  }

  const checks = (page: Page) =>
    page.$$eval('.checks li', (items) =>
      items.map((item) => [(item as HTMLElement).dataset['check'], item.classList.contains('right')]),
    );

  /** What axe finds against WCAG 2.2 AA and its own best practices, in words. */
  async function barriers(page: Page): Promise<string[]> {
    // The page's own policy lets nothing be added to it: the tool comes in from outside, as an extension would.
    const client = await page.createCDPSession();
    await client.send('Runtime.evaluate', { expression: axe });
    const { result } = await client.send('Runtime.evaluate', {
      expression: `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
        .then((found) => JSON.stringify(found.violations.flatMap(({ id, nodes }) => nodes.map((n) => id + ': ' + [n.html, ...n.any.map(({ message }) => message)].join(' ')))))`,
      awaitPromise: true,
      returnByValue: true,
    });
    await client.detach();
    return JSON.parse(result.value as string) as string[];
  }

  test('the page comes with a strict policy, in few bytes; the routes beside it answer as before', async () => {
    const page = await fetch(stack.gatewayUrl);
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';");
    expect(policy).toContain(`connect-src 'self' ${new URL(stack.rpcUrl).origin};`);
    expect(policy).not.toMatch(/unsafe|\*/);
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    const html = await page.text();
    const [script] = /\/assets\/page-[^"]+\.js/.exec(html) ?? [];
    const file = await fetch(`${stack.gatewayUrl}${script}`);
    expect([file.status, file.headers.get('cache-control')]).toEqual([
      200,
      'public, max-age=31536000, immutable',
    ]);
    for (const missing of ['/assets/page-none.js', '/index.html', '/assets/../index.html', '/nothing']) {
      expect((await fetch(stack.gatewayUrl + missing, { redirect: 'manual' })).status, missing).toBe(404);
    }
    expect((await fetch(`${stack.gatewayUrl}/v1/models`)).headers.get('content-type')).toBe(
      'application/json',
    );

    const size = execFileSync(process.execPath, ['console/build.mjs', '--size'], { encoding: 'utf8' });
    console.log(`console\n${size.split('\n').slice(0, 2).join('\n')}`);
    const [first] = /(?<=first view\s+)[\d.]+/.exec(size) ?? [];
    expect(Number(first)).toBeGreaterThan(1);
    expect(Number(first)).toBeLessThan(40);
  });

  test('status, heads from the chain, prices', () =>
    visit('light', async (page, { origins }) => {
      await until(page, '.statement', 'Every promise is kept.');
      await until(page, 'table', '0G Storage');
      expect(await text(page, 'table')).toContain('node-confirmed');
      expect(await page.$eval('.stick', (stick) => stick.getAttribute('aria-label'))).toMatch(/halves match/);
      expect(origins).toContain(new URL(stack.rpcUrl).origin);
      await go(page, 'prices');
      await until(page, 'table.prices', 'qwen-plus');
      // Everything there is, for whoever points at it.
      expect(await page.$$eval('table.prices data', (list) => list.map(({ title }) => title))).toContain(
        '1.92 0G (1920000000000000000 base units)',
      );
    }));

  test('a good receipt is verified check by check; of a tampered one it is said what is wrong', () =>
    visit('light', async (page) => {
      await go(page, 'verify');
      await verify(page, receiptFile);
      expect(await text(page, '#verdict')).toBe('The halves match.');
      const good = await checks(page);
      expect(good.map(([name]) => name)).toEqual(
        'digest log receipt_signature proof_format receipt_key checkpoint_ed25519 checkpoint_head inclusion anchored'.split(
          ' ',
        ),
      );
      expect(good.filter(([, ok]) => !ok)).toEqual([]);

      const file = JSON.parse(receiptFile) as { receipt: { amount: string }; signature: string };
      const cheaper = { ...file, receipt: { ...file.receipt, amount: '1' } };
      await verify(page, JSON.stringify(cheaper));
      expect(await text(page, '#verdict')).toBe('The halves do not match.');
      const failed = (await checks(page)).filter(([, ok]) => !ok).map(([name]) => name);
      expect(failed).toEqual(['digest', 'receipt_key', 'inclusion']);

      // As the header brings it, without a proof: looked up in the log's tiles.
      const { receipt, signature } = file;
      await verify(page, btoa(JSON.stringify({ receipt, signature })));
      expect(await text(page, '#verdict')).toBe('The halves match.');
      await verify(page, btoa(JSON.stringify({ receipt: cheaper.receipt, signature })));
      expect((await checks(page)).filter(([, ok]) => !ok).map(([name]) => name)).toEqual([
        'receipt_key',
        'inclusion',
        'anchored',
      ]);
      await fill(page, '#receipt', '{"receipt":{}}');
      await page.click('form button[type=submit]');
      await until(page, '.wrong', 'That is not a receipt: signature: 65 bytes');
    }));

  test('an agent signs in with a session key; a call made meanwhile appears; the plot is drawn', () =>
    visit('light', async (page) => {
      await signIn(page);
      await until(page, '.receipts', 'qwen3-max');
      const before = agentFetch.receipts.length;
      expect(await page.$$eval('.receipts tbody tr', (rows) => rows.length)).toBe(before);
      await page.waitForSelector('.plot canvas');
      const painted = await page.$eval('.plot canvas', (element) => {
        const canvas = element as HTMLCanvasElement;
        const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? {};
        const colours = new Set<number>();
        const pixels = data === undefined ? [] : new Uint32Array(data.buffer);
        for (const pixel of pixels) if (pixel >>> 24 === 255) colours.add(pixel);
        return colours.size;
      });
      // One colour for each of three models, at least.
      expect(painted).toBeGreaterThanOrEqual(3);

      await ask('qwen-flash', 'And 99-58?');
      await agentFetch.settled();
      await page.waitForFunction(
        (rows) => document.querySelectorAll('.receipts tbody tr').length === rows,
        {},
        before + 1,
      );
      await fill(page, '#search', 'qwen3-max');
      await page.waitForFunction(() => document.querySelectorAll('.receipts tbody tr').length === 1);
      await until(page, 'main', 'nothing; a withdrawal takes 60 min');

      // The key is in memory only: neither in the address nor in any storage.
      const kept = await page.evaluate(() =>
        JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }]),
      );
      expect(kept).not.toContain(sessionKey.slice(-20));
      await page.click('[aria-label^="Verify receipt"]');
      await page.waitForSelector('#verdict.right');
    }));

  test('the agent’s wallet makes a key for the page, and manages keys', async () => {
    const wallet = privateKeyToAccount(privateKey);
    await visit('dark', async (page, watched) => {
      await page.exposeFunction('signHere', (raw: Hex) => wallet.signMessage({ message: { raw } }));
      await page.exposeFunction('addressHere', () => wallet.address);
      await page.evaluateOnNewDocument(() => {
        const here = window as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
        Object.assign(window, {
          ethereum: {
            request: async ({ method, params }: { method: string; params?: unknown[] }) =>
              method === 'eth_requestAccounts'
                ? [await here['addressHere']?.()]
                : here['signHere']?.(params?.[0]),
          },
        });
      });
      await page.reload();
      await go(page, 'account');
      await fill(page, '#agent', '0');
      await page.click('form:nth-of-type(2) button[type=submit]');
      await page.waitForSelector('.deposit');
      await page.locator('button ::-p-text(List keys)').click();
      await until(page, '[aria-label="List of session keys"]', 'this page’s');
      expect(await text(page, '[aria-label="List of session keys"]')).toContain('a test');
      await page.click('[aria-label="Revoke console"]');
      await until(page, '.wrong', 'key');
      await page.waitForSelector('#session-key');
      // The browser reports the refusal itself.
      expect(watched.faults.splice(0)).toEqual([expect.stringContaining('401')]);
    });
  });

  test('the operator’s page opens for the operator alone', () =>
    visit('dark', async (page, watched) => {
      const summary = (token?: string) =>
        fetch(`${stack.gatewayUrl}/operator/summary`, {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        });
      expect((await summary()).status).toBe(401);
      expect((await summary(`${stack.operatorToken}x`)).status).toBe(401);
      await go(page, 'operator');
      await fill(page, '#operator-token', 'not the token');
      await page.click('form button[type=submit]');
      await until(page, '.wrong', 'OPERATOR_TOKEN is needed');
      // The browser reports the refusal itself.
      expect(watched.faults.splice(0)).toEqual([expect.stringContaining('401')]);
      await fill(page, '#operator-token', stack.operatorToken);
      await page.click('form button[type=submit]');
      await until(page, 'main', 'qwen-stand-in');
      const shown = await text(page, 'main');
      expect(shown).toContain('qwen3-max');
      expect(shown).toContain('agent 0');
      expect(shown).toMatch(/Paid by the vault\s*0\.\d+/);
    }));

  test.each(['light', 'dark'] as const)('axe finds nothing on any view, %s', (theme) =>
    visit(theme, async (page) => {
      const found: Record<string, string[]> = {};
      const look = async (view: string) => {
        found[view] = await barriers(page);
        if (shots !== undefined) await picture(page, `${view}-${theme}`);
      };
      await until(page, 'table', '0G Storage');
      await look('log');
      await go(page, 'prices');
      await page.waitForSelector('table.prices');
      await look('prices');
      await go(page, 'verify');
      await verify(page, receiptFile);
      await look('verify');
      await verify(page, receiptFile.replace(/"output": "(\d+)"/, '"output": "1$1"'));
      await look('verify-tampered');
      await go(page, 'account');
      await page.waitForSelector('#session-key');
      await look('sign-in');
      await signIn(page);
      await page.waitForSelector('.plot canvas');
      await until(page, 'main', 'a withdrawal takes');
      await look('account');
      await go(page, 'operator');
      await fill(page, '#operator-token', stack.operatorToken);
      await page.click('form button[type=submit]');
      await until(page, 'main', 'qwen-stand-in');
      await look('operator');
      expect(Object.fromEntries(Object.entries(found).filter(([, list]) => list.length > 0))).toEqual({});
      expect(Object.keys(found)).toHaveLength(7);
    }),
  );

  test('a phone needs no scrolling to the side, and the theme can be chosen', () =>
    visit('light', async (page) => {
      await page.setViewport({ width: 375, height: 812, isMobile: true, hasTouch: true });
      const fits = async (view: string) => {
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        expect([view, width]).toEqual([view, 375]);
        if (shots !== undefined) await picture(page, `${view}-phone`);
      };
      await until(page, 'table', '0G Storage');
      await fits('log');
      await go(page, 'prices');
      await page.waitForSelector('table.prices');
      await fits('prices');
      await go(page, 'verify');
      await verify(page, receiptFile);
      await fits('verify');
      await signIn(page);
      await page.waitForSelector('.plot canvas');
      await fits('account');
      const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const before = await paper();
      await page.click('.toggle');
      expect(await paper()).not.toBe(before);
      await page.reload();
      await page.waitForSelector('h1');
      expect(await paper()).not.toBe(before);
    }));

  async function picture(page: Page, name: string): Promise<void> {
    if (shots === undefined) return;
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: path.join(shots, `${name}.png`) as `${string}.png`, fullPage: true });
  }
});
